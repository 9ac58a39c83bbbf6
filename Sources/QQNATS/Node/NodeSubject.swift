/// The subjects on which go-cluster nodes answer.
enum NodeSubject {
    static func status(_ cluster: String, _ node: String) -> String { "cluster_\(cluster).status.\(node)" }
    static func ping(_ cluster: String, _ node: String) -> String { "cluster_\(cluster).ping.\(node)" }
    static func stepDown(_ cluster: String, _ node: String) -> String { "cluster_\(cluster).control.\(node).stepdown" }
    /// Format v1.
    static func health(_ cluster: String, _ node: String) -> String { "cluster.\(cluster).health.\(node)" }
}
