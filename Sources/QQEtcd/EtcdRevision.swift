/// Revisions of a cluster, which a server chooses: any number can come from a broken one.
enum EtcdRevision {
    /// The revision to watch from after reading at this one; the highest has none after it.
    static func after(_ revision: Int64) -> Int64 { revision == .max ? .max : revision + 1 }

    /// The last revision before this one; the lowest has none before it.
    static func before(_ revision: Int64) -> Int64 { revision == .min ? .min : revision - 1 }
}
