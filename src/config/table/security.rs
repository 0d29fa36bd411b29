//! TLS, principals, authorization, delegation tokens.

use super::properties;

properties! {
    Broker;

    "authorizer.class.name", Text, "", Any, Start, Later:
        "Java class of the authorizer";
    "delegation.token.expiry.check.interval.ms", Long, "3600000", AtLeast(1), Start, Later;
    "delegation.token.expiry.time.ms", Long, "86400000", AtLeast(1), Start, Later;
    "delegation.token.max.lifetime.ms", Long, "604800000", AtLeast(1), Start, Later;
    "delegation.token.secret.key", Password, null, Any, Start, Later;
    "principal.builder.class", Class, "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder", Any, Start, Without;
    "security.inter.broker.protocol", Text, "PLAINTEXT", OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), Start, Later;
    "security.providers", Text, null, Any, Start, Without;
    "ssl.allow.dn.changes", Bool, "false", Any, Start, Later;
    "ssl.allow.san.changes", Bool, "false", Any, Start, Later;
    "ssl.cipher.suites", List, "", Any, Broker, Later;
    "ssl.client.auth", Text, "none", OneOf(&["required", "requested", "none"]), Broker, Later;
    "ssl.enabled.protocols", List, "TLSv1.2,TLSv1.3", Any, Broker, Later;
    "ssl.endpoint.identification.algorithm", Text, "https", Any, Broker, Later;
    "ssl.engine.factory.class", Class, null, Any, Broker, Without;
    "ssl.key.password", Password, null, Any, Broker, Later;
    "ssl.keymanager.algorithm", Text, "SunX509", Any, Broker, Without;
    "ssl.keystore.certificate.chain", Password, null, Any, Broker, Later;
    "ssl.keystore.key", Password, null, Any, Broker, Later;
    "ssl.keystore.location", Text, null, Any, Broker, Later;
    "ssl.keystore.password", Password, null, Any, Broker, Later;
    "ssl.keystore.type", Text, "JKS", Any, Broker, Later;
    "ssl.principal.mapping.rules", Text, "DEFAULT", Any, Start, Later;
    "ssl.protocol", Text, "TLSv1.3", Any, Broker, Later;
    "ssl.provider", Text, null, Any, Broker, Without;
    "ssl.secure.random.implementation", Text, null, Any, Broker, Without;
    "ssl.trustmanager.algorithm", Text, "PKIX", Any, Broker, Without;
    "ssl.truststore.certificates", Password, null, Any, Broker, Later;
    "ssl.truststore.location", Text, null, Any, Broker, Later;
    "ssl.truststore.password", Password, null, Any, Broker, Later;
    "ssl.truststore.type", Text, "JKS", Any, Broker, Later;
}
