import QQCore

extension ServerURL.System {
    /// Lease objects of a Kubernetes cluster: `k8s://[CONTEXT][/NAMESPACE]`, `k8s://in-cluster/NAMESPACE`. The name of a context can have `@` and `:`.
    static let kubernetes = ServerURL.System(
        name: "kubernetes", schemes: [.init("k8s")], authority: .name("the context's name"),
        path: .part(
            .init(
                "the namespace",
                tooMany: .init(
                    reason: "a Kubernetes URL has one namespace",
                    hint: "write k8s://CONTEXT/NAMESPACE, and a slash in the context's name as %2F")
            ) { name in
                let isName = name.utf8.allSatisfy { byte in
                    UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
                        || byte == UInt8(ascii: "-")
                }
                return isName ? nil : .init(reason: "the namespace is not a Kubernetes name", hint: "use a-z, 0-9 and '-'")
            }))
}

extension SystemDescription {
    /// Kubernetes, of which only the URL is known, so that contexts can already name it.
    static let kubernetes = SystemDescription(url: .kubernetes, displayName: "Kubernetes")
}
