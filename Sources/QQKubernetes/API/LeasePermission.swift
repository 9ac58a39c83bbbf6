/// The right to do something with leases, as role-based access control (RBAC) grants it.
struct LeasePermission: Sendable, Hashable {
    enum Verb: String, Sendable, Hashable, CaseIterable {
        case get, create, update, list, watch

        /// Whether a request with this verb changes something if it is carried out.
        var isChange: Bool { self == .create || self == .update }
    }

    var verb: Verb
    var namespace: String
    /// The lease; nil if the request names none, as those that create and list do.
    var name: String?

    init(_ verb: Verb, in namespace: String, name: String? = nil) {
        self.verb = verb
        self.namespace = namespace
        self.name = name
    }
}

/// A rule of a Role, or of a ClusterRole.
struct AccessRule: Sendable, Hashable {
    /// Empty for the core group.
    var group = "coordination.k8s.io"
    var resource = "leases"
    /// The objects; empty for all of them.
    var names: [String] = []
    var verbs: [String]
    /// The namespace of the Role; nil if only a ClusterRole can have the rule.
    var namespace: String?

    /// The rule in YAML, on one line, as it can be added below `rules:` after a dash.
    var yaml: String {
        let names = names.isEmpty ? "" : "resourceNames: [\(Self.list(names))], "
        return "{apiGroups: [\(Self.list([group]))], resources: [\(Self.list([resource]))], \(names)verbs: [\(Self.list(verbs))]}"
    }

    /// The rule in YAML as it is usually written below `rules:`.
    var lines: [String] {
        var lines = ["- apiGroups: [\(Self.list([group]))]", "  resources: [\(Self.list([resource]))]"]
        if !names.isEmpty { lines.append("  resourceNames: [\(Self.list(names))]") }
        return lines + ["  verbs: [\(Self.list(verbs))]"]
    }

    /// The role that the rule belongs to: `a Role of namespace team`.
    var role: String { namespace.map { "a Role of namespace \($0)" } ?? "a ClusterRole" }

    private static func list(_ texts: [String]) -> String {
        texts.map { text in
            let isPlain =
                text.utf8.first.map(isLetter) == true && text.utf8.allSatisfy { isLetter($0) || ".-/0123456789".utf8.contains($0) }
            return isPlain ? text : "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
        }.joined(separator: ", ")
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) }
}
