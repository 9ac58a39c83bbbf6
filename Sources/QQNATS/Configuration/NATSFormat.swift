/// How a go-cluster keeps its lease: which bucket, which keys, which JSON.
public enum NATSFormat: String, Sendable, Hashable, CaseIterable {
    /// That of the library's first releases: bucket `cluster-ID`, key `lease`.
    case v1
    /// That of its tags v2.0.x: bucket `KV_CLUSTER_ID`, key `leader`.
    case v2
}
