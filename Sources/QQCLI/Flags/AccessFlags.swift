import QQCore

/// Getting in: TLS. The flags that only some systems take are declared beside those, in Systems.
extension Flags {
    static let clusterConfig = Flag<String>(
        "cluster-config", value: "FILE", kind: .file, group: .server,
        help: "A cluster.json of the Go library",
        more: """
            Take server, *NAME*, identity, TTL, renewal, credentials and virtual IP from a `cluster.json`, as the nodes of the Go \
            clustering library have it. *NAME* may then be left out. Flags, and `QQ_SERVER` and `QQ_NATS_...`, come before what the \
            file says. See qq-nats(7).
            """,
        parse: Values.text)

    static let tlsCA = Flag<String>(
        "tls-ca", value: "FILE", kind: .file, group: .access,
        help: "Authorities to trust, PEM",
        more: """
            Trust the certificate authorities in this PEM file instead of the system's. This and the other TLS flags ask for TLS, also \
            where the URL says `nats://`.
            """,
        parse: Values.text)

    static let tlsCert = Flag<String>(
        "tls-cert", value: "FILE", kind: .file, group: .access,
        help: "Our own certificate, PEM",
        more: "Our own certificate as a PEM file, for servers that ask for one.",
        parse: Values.text)

    static let tlsKey = Flag<String>(
        "tls-key", value: "FILE", kind: .file, group: .access,
        help: "The key of our certificate, PEM",
        more: "The key that belongs to `--tls-cert`, as a PEM file; by default it stands in the certificate's own file.",
        parse: Values.text)

    static let tlsName = Flag<String>(
        "tls-name", value: "NAME", kind: .text, group: .access,
        help: "The name in the server's certificate",
        more: "The name that the server's certificate must have, where it is not the host that the URL names.",
        parse: Values.text)

    /// How to log in, TLS, and the other flags that only some systems take, but those about retrying.
    @FlagListBuilder static var access: [AnyFlag] {
        Systems.logins
        tlsCA
        tlsCert
        tlsKey
        tlsName
        Systems.flags { $0 != .retrying }
    }
}
