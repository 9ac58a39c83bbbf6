import QQCore

extension ServerURL.System {
    /// Lease objects of a Kubernetes cluster: `k8s://[CONTEXT][/NAMESPACE]`, `k8s://in-cluster/NAMESPACE`. The name of a context can have `@` and `:`.
    public static let kubernetes = ServerURL.System(
        name: "kubernetes", schemes: [.init("k8s")], authority: .name("the context's name"),
        path: .part(
            .init(
                "the namespace",
                tooMany: .init(
                    reason: "a Kubernetes URL has one namespace",
                    hint: "write k8s://CONTEXT/NAMESPACE, and a slash in the context's name as %2F")
            ) { name in
                isNamespace(name)
                    ? nil
                    : .init(
                        reason: "the namespace is not a Kubernetes name",
                        hint: "use 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends")
            }))

    /// Whether a text can be the name of a namespace (RFC 1123, section 2.1, in lower case).
    private static func isNamespace(_ name: String) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
        }
        guard let first = name.utf8.first, let last = name.utf8.last, name.utf8.count <= 63 else { return false }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && name.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }
}
