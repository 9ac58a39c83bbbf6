import QQCore
import QQHTTP

/// The calls to the leases of one namespace.
struct LeaseCalls: Sendable {
    /// The path of the namespace's leases.
    let path: String

    init(namespace: String) { path = "/apis/coordination.k8s.io/v1/namespaces/\(namespace)/leases" }

    func get(_ name: String) -> APIRequest { APIRequest(method: .get, path: path + "/" + name) }

    func create(_ lease: LeaseObject) -> APIRequest { APIRequest(method: .post, path: path, body: lease.body) }

    func replace(_ lease: LeaseObject) -> APIRequest { APIRequest(method: .put, path: path + "/" + lease.name, body: lease.body) }

    /// - Parameters:
    ///   - labels: a label selector.
    ///   - next: the server's `continue` of the previous page.
    func list(limit: Int, labels: String?, next: String?) -> APIRequest {
        var query = [HTTPRequest.Field("limit", String(limit))]
        if let labels { query.append(.init("labelSelector", labels)) }
        if let next { query.append(.init("continue", next)) }
        return APIRequest(method: .get, path: path, query: query)
    }

    /// Watches one lease, or all of them if `name` is nil. Without a version to begin with, the present state comes first: a version that is too old, or of a
    /// server that was restored from a backup, can thus never be asked for.
    func watch(_ name: String?) -> APIRequest {
        var query = [HTTPRequest.Field("watch", "1"), .init("allowWatchBookmarks", "true")]
        if let name { query.append(.init("fieldSelector", "metadata.name=" + name)) }
        return APIRequest(method: .get, path: path, query: query)
    }
}
