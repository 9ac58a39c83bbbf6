import QQCore

/// Flags for TLS and the cluster file. Flags that only some systems take are declared with these systems, in Systems.
extension Flags {
    static let clusterConfig = Flag<String>(
        "cluster-config", value: "FILE", kind: .file, group: .server,
        help: "A cluster.json of the Go library",
        more: """
            Take server, *NAME*, identity, TTL, renewal interval, credentials and virtual IP address from a `cluster.json`, as the nodes of the Go \
            clustering library use it. *NAME* can then be left out. Flags, `QQ_SERVER` and `QQ_NATS_...` override the file. See qq-nats(7).
            """,
        parse: Values.text)

    static let tlsCA = Flag<String>(
        "tls-ca", value: "FILE", kind: .file, group: .access,
        help: "Authorities to trust, PEM",
        more: """
            Trust the certificate authorities in this PEM file instead of the system's. This and the other TLS flags request TLS, even if the URL \
            begins with `nats://`.
            """,
        parse: Values.text)

    static let tlsCert = Flag<String>(
        "tls-cert", value: "FILE", kind: .file, group: .access,
        help: "Client certificate, PEM",
        more: "The client certificate as a PEM file, for servers that ask for one.",
        parse: Values.text)

    static let tlsKey = Flag<String>(
        "tls-key", value: "FILE", kind: .file, group: .access,
        help: "Key of the client certificate, PEM",
        more: "The key that belongs to `--tls-cert`, as a PEM file; by default it is read from the certificate's file.",
        parse: Values.text)

    static let tlsName = Flag<String>(
        "tls-name", value: "NAME", kind: .text, group: .access,
        help: "Name in the server's certificate",
        more: "The name that the server's certificate must have, if it is not the host name in the URL.",
        parse: Values.text)

    /// The flags for logins and TLS, and the other flags that only some systems take, except those about retrying.
    @FlagListBuilder static var access: [AnyFlag] {
        Systems.logins
        tlsCA
        tlsCert
        tlsKey
        tlsName
        Systems.flags { $0 != .retrying }
    }
}
