/// Numbers that etcd's servers and clients agree on (protocols/etcd.md, "Calls").
enum EtcdRules {
    /// The port for clients.
    static let port = 2379
}
