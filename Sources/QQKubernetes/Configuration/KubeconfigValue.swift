import QQCore
import QQNetwork
import Yams

/// An entry of a kubeconfig, or a part of one. Errors name the file, the line and the key, never a value: values can be secret.
struct KubeconfigValue {
    let members: Node.Mapping
    /// The file.
    let path: String
    /// The entry, for errors: `user "ops"`.
    let title: String

    /// The names of the members.
    var keys: [String] { members.compactMap { $0.key.scalar?.string } }

    func wrong(_ reason: String, _ node: Node? = nil, hint: String? = nil) -> CoordinationError {
        .kubeconfig("\(title): \(reason)", path, line: node?.mark?.line ?? members.mark?.line, hint: hint)
    }

    func node(_ key: String) -> Node? {
        guard let node = members.first(where: { $0.key.scalar?.string == key })?.value else { return nil }
        return Self.isNull(node) ? nil : node
    }

    /// A text, also one that is written like a number; nil if it is missing or empty.
    func text(_ key: String) throws(CoordinationError) -> String? {
        guard let node = node(key) else { return nil }
        guard let text = node.scalar?.string else { throw wrong("\(key) is not a text", node) }
        return text.isEmpty ? nil : text
    }

    func secret(_ key: String) throws(CoordinationError) -> Secret? { try text(key).map { Secret($0) } }

    /// False if it is missing.
    func flag(_ key: String) throws(CoordinationError) -> Bool {
        guard let node = node(key) else { return false }
        // The booleans of YAML 1.1, which Kubernetes reads.
        if let scalar = node.scalar, scalar.style == .plain {
            switch scalar.string.lowercased() {
            case "true", "yes", "on": return true
            case "false", "no", "off": return false
            default: break
            }
        }
        throw wrong("\(key) is neither true nor false", node)
    }

    func texts(_ key: String) throws(CoordinationError) -> [String] {
        guard let node = node(key) else { return [] }
        guard let texts = Self.texts(node) else { throw wrong("\(key) is not a list of texts", node) }
        return texts
    }

    /// nil if the node is not a list of scalars.
    static func texts(_ node: Node) -> [String]? {
        guard let items = node.sequence else { return nil }
        let texts = items.compactMap { $0.scalar?.string }
        return texts.count == items.count ? texts : nil
    }

    func value(_ key: String) throws(CoordinationError) -> KubeconfigValue? {
        guard let node = node(key) else { return nil }
        guard let mapping = node.mapping else { throw wrong("\(key) is not a mapping", node) }
        return KubeconfigValue(members: mapping, path: path, title: "\(title), \(key)")
    }

    func values(_ key: String) throws(CoordinationError) -> [KubeconfigValue] {
        guard let node = node(key) else { return [] }
        guard let items = node.sequence else { throw wrong("\(key) is not a list", node) }
        return try items.map { item throws(CoordinationError) in
            guard let mapping = item.mapping else { throw wrong("\(key) has an item that is not a mapping", item) }
            return KubeconfigValue(members: mapping, path: path, title: "\(title), \(key)")
        }
    }

    /// The bytes of a base64 text; nil if it is missing or empty.
    func data(_ key: String) throws(CoordinationError) -> [UInt8]? {
        guard let text = try text(key) else { return nil }
        // Go, too, skips line ends in base64.
        let plain = text.utf8.contains { $0 == 10 || $0 == 13 } ? String(text.filter { !$0.isNewline }) : text
        guard let bytes = Base64.decode(plain) else { throw wrong("\(key) is not base64", node(key)) }
        return bytes
    }

    /// A path; a relative one starts at the folder of the kubeconfig. nil if it is missing or empty.
    func path(_ key: String) throws(CoordinationError) -> String? { try text(key).map { Self.resolve($0, beside: path) } }

    static func resolve(_ path: String, beside file: String) -> String {
        guard !path.hasPrefix("/"), let slash = file.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
        return String(file[...slash]) + path
    }

    static func isNull(_ node: Node) -> Bool {
        guard let scalar = node.scalar, scalar.style == .plain else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }
}

extension CoordinationError {
    /// An error in a kubeconfig.
    static func kubeconfig(_ reason: String, _ path: String, line: Int? = nil, hint: String? = nil) -> CoordinationError {
        CoordinationError(
            .configuration, "cannot use the kubeconfig", because: reason,
            at: Printable.text(path) + (line.map { ", line \($0)" } ?? ""), hint: hint)
    }
}
