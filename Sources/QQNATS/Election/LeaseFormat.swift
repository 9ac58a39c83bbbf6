import QQCore

/// The two ways in which go-cluster keeps a lease in a bucket. Source: shared/protocols/nats-go-cluster.md and the recordings of its nodes.
public enum LeaseFormat: String, Sendable, Hashable, CaseIterable {
    /// The format of the library's first releases: bucket `cluster-ID`, key `lease`.
    case v1
    /// The format of its tags v2.0.x: bucket `KV_CLUSTER_ID`, key `leader`.
    case v2

    // MARK: Names

    func bucket(cluster: String) -> String { bucketPrefix + cluster }

    /// The stream behind the bucket.
    func stream(cluster: String) -> String { JetStreamAPI.stream(ofBucket: bucket(cluster: cluster)) }

    var leaseKey: String {
        switch self {
        case .v1: "lease"
        case .v2: "leader"
        }
    }

    func cooldownKey(node: String) -> String {
        switch self {
        case .v1: "cooldown-" + node
        case .v2: "cooldown." + node
        }
    }

    /// The cluster whose election a bucket holds, and the format; nil if it does not hold an election.
    static func election(inBucket bucket: String) -> (format: LeaseFormat, cluster: String)? {
        for format in allCases where bucket.hasPrefix(format.bucketPrefix) {
            let cluster = String(bucket.dropFirst(format.bucketPrefix.count))
            if problem(withCluster: cluster) == nil { return (format, cluster) }
        }
        return nil
    }

    private var bucketPrefix: String {
        switch self {
        case .v1: "cluster-"
        case .v2: "KV_CLUSTER_"
        }
    }

    // MARK: Times

    /// How long the bucket keeps values, for leases of `ttl`.
    func maxAge(ttl: Duration) -> Duration {
        switch self {
        case .v1: ttl * 2
        case .v2: ttl
        }
    }

    /// The TTL of leases in a bucket that keeps values for `maxAge`; nil if it keeps them forever.
    func ttl(maxAge: Duration?) -> Duration? {
        switch self {
        case .v1: maxAge.map { $0 / 2 }
        case .v2: maxAge
        }
    }

    // MARK: Validity

    /// The longest name of a cluster: a stream's has at most 255 bytes, and the longer prefix is `KV_KV_CLUSTER_`.
    static let longestCluster = 241

    /// Why `cluster` cannot be the name of a cluster; nil if it can. It is part of a bucket's name, and a token of subjects.
    static func problem(withCluster cluster: String) -> String? {
        if cluster.isEmpty { return "a cluster id must not be empty" }
        if cluster.utf8.count > longestCluster { return "a cluster id has at most \(longestCluster) bytes" }
        if !KeyName.isValid(bucket: cluster) { return "a cluster id holds only letters, digits, '-' and '_'" }
        return nil
    }

    /// Why `node` cannot be a node id; nil if it can. The id is part of a key and of subjects, in which dots split it into several tokens, as for
    /// Go nodes.
    static func problem(withNode node: String) -> String? {
        if node.isEmpty { return "a node id must not be empty" }
        if node.utf8.count > Identity.maximumLength { return "a node id has at most \(Identity.maximumLength) bytes" }
        if !KeyName.isValid(key: node) {
            return "a node id holds only letters, digits, '-', '/', '_', '=' and single dots, but not at its ends"
        }
        return nil
    }
}
