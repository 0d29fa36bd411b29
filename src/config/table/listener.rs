//! Where clients connect: listeners, sockets, connections.

use super::properties;

properties! {
    Broker;

    "advertised.listeners", List, null, Any, Start, Used:
        "addresses that clients are told to connect to; by default those of `listeners`, with the host's name for \"every interface\"";
    "connection.failed.authentication.delay.ms", Int, "100", AtLeast(0), Start, Later;
    "connections.max.idle.ms", Long, "600000", Any, Start, Used:
        "a connection silent for so long is closed";
    "connections.max.reauth.ms", Long, "0", Any, Start, Later:
        "how long an authenticated connection may live until it must authenticate again";
    "early.start.listeners", List, null, Any, Start, Without:
        "listeners that accept before the broker is ready";
    "fetch.max.bytes", Int, "57671680", AtLeast(1_024), Start, Used:
        "largest answer to one fetch, whatever the client asks for";
    "inter.broker.listener.name", Text, null, Any, Start, Used:
        "the listener that brokers use among themselves";
    "listener.security.protocol.map", Text, "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", Any, Start, Used:
        "the security protocol of each listener name, NAME:PROTOCOL separated by commas";
    "listeners", List, "PLAINTEXT://127.0.0.1:9092", Any, Start, Used:
        "addresses to listen on, NAME://HOST:PORT separated by commas; an empty host is every interface, port 0 any free one";
    "max.connection.creation.rate", Int, "2147483647", AtLeast(0), Start, Later:
        "new connections a second";
    "max.connections", Int, "2147483647", AtLeast(0), Start, Later:
        "connections of this broker at one time; further ones are closed at once";
    "max.connections.per.ip", Int, "2147483647", AtLeast(0), Start, Later:
        "connections from one address at one time; further ones are closed at once";
    "max.connections.per.ip.overrides", Text, "", Any, Start, Later:
        "other limits for some addresses, HOST:COUNT separated by commas";
    "max.incremental.fetch.session.cache.slots", Int, "1000", AtLeast(0), Start, Used:
        "fetch sessions that are remembered";
    "max.request.partition.size.limit", Int, "2000", AtLeast(1), Start, Used:
        "partitions that one answer to DescribeTopicPartitions may hold";
    "num.io.threads", Int, "8", AtLeast(1), Cluster, Without;
    "num.network.threads", Int, "3", AtLeast(1), Cluster, Without;
    "queued.max.request.bytes", Long, "-1", Any, Start, Later:
        "bytes of all requests that may be in work at one time";
    "queued.max.requests", Int, "500", AtLeast(1), Start, Without:
        "requests that may be in work at one time; here the memory that requests may take is bounded instead";
    "request.timeout.ms", Int, "30000", Any, Start, Later:
        "how long a request to another broker may take";
    "socket.connection.setup.timeout.max.ms", Long, "30000", Any, Start, Without;
    "socket.connection.setup.timeout.ms", Long, "10000", Any, Start, Without;
    "socket.listen.backlog.size", Int, "50", AtLeast(1), Start, Without:
        "connections that may wait to be accepted; here always 4096, or what net.core.somaxconn allows";
    "socket.receive.buffer.bytes", Int, "102400", Any, Start, Without:
        "SO_RCVBUF of client sockets; here the system sizes it to the connection";
    "socket.request.max.bytes", Int, "104857600", AtLeast(1), Start, Used:
        "largest request that is read; a client that sends a larger one is disconnected";
    "socket.send.buffer.bytes", Int, "102400", Any, Start, Without:
        "SO_SNDBUF of client sockets; here the system sizes it to the connection";
    "unstable.api.versions.enable", Bool, "false", Any, Start, Without, internal;
}
