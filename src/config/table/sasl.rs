//! SASL: who the client says it is.

use super::properties;

properties! {
    Broker;

    "sasl.client.callback.handler.class", Class, null, Any, Start, Without;
    "sasl.enabled.mechanisms", List, "GSSAPI", Any, Broker, Later;
    "sasl.jaas.config", Password, null, Any, Broker, Later;
    "sasl.kerberos.kinit.cmd", Text, "/usr/bin/kinit", Any, Broker, Later;
    "sasl.kerberos.min.time.before.relogin", Long, "60000", Any, Broker, Later;
    "sasl.kerberos.principal.to.local.rules", List, "DEFAULT", Any, Broker, Later;
    "sasl.kerberos.service.name", Text, null, Any, Broker, Later;
    "sasl.kerberos.ticket.renew.jitter", Double, "0.05", Any, Broker, Later;
    "sasl.kerberos.ticket.renew.window.factor", Double, "0.8", Any, Broker, Later;
    "sasl.login.callback.handler.class", Class, null, Any, Start, Without;
    "sasl.login.class", Class, null, Any, Start, Without;
    "sasl.login.connect.timeout.ms", Int, null, Any, Start, Later;
    "sasl.login.read.timeout.ms", Int, null, Any, Start, Later;
    "sasl.login.refresh.buffer.seconds", Short, "300", Any, Broker, Later;
    "sasl.login.refresh.min.period.seconds", Short, "60", Any, Broker, Later;
    "sasl.login.refresh.window.factor", Double, "0.8", Any, Broker, Later;
    "sasl.login.refresh.window.jitter", Double, "0.05", Any, Broker, Later;
    "sasl.login.retry.backoff.max.ms", Long, "10000", Any, Start, Later;
    "sasl.login.retry.backoff.ms", Long, "100", Any, Start, Later;
    "sasl.mechanism.controller.protocol", Text, "GSSAPI", Any, Start, Later;
    "sasl.mechanism.inter.broker.protocol", Text, "GSSAPI", Any, Broker, Later;
    "sasl.oauthbearer.assertion.algorithm", Text, "RS256", OneOfAnyCase(&["ES256", "RS256"]), Start, Later;
    "sasl.oauthbearer.assertion.claim.aud", Text, null, Any, Start, Later;
    "sasl.oauthbearer.assertion.claim.exp.seconds", Int, "300", Within(0, 86_400), Start, Later;
    "sasl.oauthbearer.assertion.claim.iss", Text, null, Any, Start, Later;
    "sasl.oauthbearer.assertion.claim.jti.include", Bool, "false", Any, Start, Later;
    "sasl.oauthbearer.assertion.claim.nbf.seconds", Int, "60", Within(0, 3_600), Start, Later;
    "sasl.oauthbearer.assertion.claim.sub", Text, null, Any, Start, Later;
    "sasl.oauthbearer.assertion.file", Text, null, Any, Start, Later;
    "sasl.oauthbearer.assertion.private.key.file", Text, null, Any, Start, Later;
    "sasl.oauthbearer.assertion.private.key.passphrase", Password, null, Any, Start, Later;
    "sasl.oauthbearer.assertion.template.file", Text, null, Any, Start, Later;
    "sasl.oauthbearer.client.credentials.client.id", Text, null, Any, Start, Later;
    "sasl.oauthbearer.client.credentials.client.secret", Password, null, Any, Start, Later;
    "sasl.oauthbearer.clock.skew.seconds", Int, "30", Any, Start, Later;
    "sasl.oauthbearer.expected.audience", List, "", Any, Start, Later;
    "sasl.oauthbearer.expected.issuer", Text, null, Any, Start, Later;
    "sasl.oauthbearer.jwks.endpoint.refresh.ms", Long, "3600000", Any, Start, Later;
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Long, "10000", Any, Start, Later;
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Long, "100", Any, Start, Later;
    "sasl.oauthbearer.jwks.endpoint.url", Text, null, Any, Start, Later;
    "sasl.oauthbearer.jwt.retriever.class", Class, "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", Any, Start, Without;
    "sasl.oauthbearer.jwt.validator.class", Class, "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator", Any, Start, Without;
    "sasl.oauthbearer.scope", Text, null, Any, Start, Later;
    "sasl.oauthbearer.scope.claim.name", Text, "scope", Any, Start, Later;
    "sasl.oauthbearer.sub.claim.name", Text, "sub", Any, Start, Later;
    "sasl.oauthbearer.token.endpoint.url", Text, null, Any, Start, Later;
    "sasl.server.callback.handler.class", Class, null, Any, Start, Without;
    "sasl.server.max.receive.size", Int, "524288", Any, Start, Later;
}
