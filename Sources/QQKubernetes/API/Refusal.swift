import QQCore

/// An answer of 403 that names a missing permission: `User "ops" cannot update resource "leases" in API group "coordination.k8s.io" in the namespace "team"`.
/// All authorizers of an API server use these words. They are only shown: nothing is decided by them.
struct Refusal: Sendable, Hashable {
    /// The user as the server knows it, safe to show; nil if the message does not name it.
    var user: String?
    /// The rule that would allow the request.
    var rule: AccessRule

    /// Whether the server took the request for one without a credential.
    var isAnonymous: Bool { user == "system:anonymous" }

    /// The user as a subject of a role binding: `ServiceAccount elector of namespace team`, `User ops`.
    var subject: String {
        guard let user else { return "this user" }
        let parts = user.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        if parts.count == 4, parts[0] == "system", parts[1] == "serviceaccount" {
            return "ServiceAccount \(parts[3]) of namespace \(parts[2])"
        }
        return "User \(user)"
    }

    /// - Parameters:
    ///   - message: the `message` of the Status object.
    ///   - permission: the permission that the request needed, for words that the message lacks.
    /// - Returns: nil if something else refused the request, such as an admission plugin.
    init?(_ message: String, for permission: LeasePermission?) {
        guard let cannot = message.firstRange(of: "\" cannot ") else { return nil }
        let rest = message[cannot.upperBound...]
        let verb = String(rest.prefix { $0 != " " })
        user = Self.text(after: "User \"", in: message[..<message.index(after: cannot.lowerBound)])
        if let resource = Self.text(after: " resource \"", in: rest), !verb.isEmpty {
            let name =
                message.hasPrefix("\(resource).") || message.hasPrefix("\(resource) ")
                ? Self.text(after: " \"", in: message[..<cannot.lowerBound]) : nil
            rule = AccessRule(
                group: Self.text(after: " in API group \"", in: rest) ?? "", resource: resource, names: [], verbs: [verb],
                namespace: Self.text(after: " in the namespace \"", in: rest))
            // A lease's name would make a rule of its own for each election.
            if resource != "leases", let name, name != user { rule.names = [name] }
        } else if let permission {
            rule = AccessRule(verbs: [permission.verb.rawValue], namespace: permission.namespace)
        } else {
            return nil
        }
    }

    /// The text between `beginning` and the next quotation mark, safe to show; nil if there is none.
    private static func text(after beginning: String, in message: Substring) -> String? {
        guard let found = message.firstRange(of: beginning) else { return nil }
        let rest = message[found.upperBound...]
        guard let end = rest.firstIndex(of: "\"") else { return nil }
        return Printable.text(String(rest[..<end]))
    }
}
