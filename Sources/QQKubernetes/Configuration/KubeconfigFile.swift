import QQCore
import QQYAML
import Yams

/// One kubeconfig file. Entries are looked at when they are asked for.
struct KubeconfigFile {
    /// The lists of entries, each of which has a name.
    enum Kind: String, CaseIterable {
        case cluster, context, user

        /// The key of the list.
        var list: String { rawValue + "s" }
    }

    static let largest = 4 << 20

    let path: String
    /// nil for an empty file.
    private let root: KubeconfigValue?
    /// The lists, whose items are mappings with different names.
    private let lists: [Kind: Node.Sequence]

    /// - Throws: `CoordinationError` for a text that is not a kubeconfig, or in which two entries have one name. It contains nothing of the text but names.
    init(_ text: String, path: String) throws(CoordinationError) {
        self.path = path
        let document: Node?
        do throws(BoundedYAML.Problem) { document = try BoundedYAML.compose(text) } catch {
            throw .kubeconfig(error.reason, path, line: error.line, hint: error.hint)
        }
        guard let document, !KubeconfigValue.isNull(document) else {
            (root, lists) = (nil, [:])
            return
        }
        guard let members = document.mapping else { throw .kubeconfig("it is not a mapping", path, line: document.mark?.line) }
        let root = KubeconfigValue(members: members, path: path, title: "the file")
        self.root = root
        var lists: [Kind: Node.Sequence] = [:]
        for kind in Kind.allCases {
            guard let node = root.node(kind.list) else { continue }
            guard let items = node.sequence else { throw .kubeconfig("\(kind.list) is not a list", path, line: node.mark?.line) }
            lists[kind] = items
            var names: Set<String> = []
            for item in items {
                guard item.mapping != nil else {
                    throw .kubeconfig("\(kind.list) has an item that is not a mapping", path, line: item.mark?.line)
                }
                let name = Self.name(of: item)
                guard names.insert(name).inserted else {
                    throw .kubeconfig(
                        "two \(kind.list) are called \(name.quotedForUser)", path, line: item.mark?.line, hint: "rename one of them")
                }
            }
        }
        self.lists = lists
    }

    /// Reads the file.
    /// - Returns: nil if there is none.
    /// - Throws: also for a file that cannot be read.
    static func read(_ path: String) throws(CoordinationError) -> KubeconfigFile? {
        let bytes: [UInt8]
        do throws(SmallFile.Problem) { bytes = try SmallFile.read(path, upTo: largest) } catch {
            if error.isMissing { return nil }
            throw .kubeconfig(error.reason, path)
        }
        return try KubeconfigFile(String(decoding: bytes, as: UTF8.self), path: path)
    }

    /// The name of the current context; nil if it is missing or empty.
    func currentContext() throws(CoordinationError) -> String? { try root?.text("current-context") }

    /// The names of the entries, in their order.
    func names(_ kind: Kind) -> [String] { lists[kind]?.map(Self.name(of:)) ?? [] }

    /// The entry with this name; nil if there is none. An entry without contents is empty.
    func entry(_ kind: Kind, _ name: String) throws(CoordinationError) -> KubeconfigValue? {
        guard let item = lists[kind]?.first(where: { Self.name(of: $0) == name }), let mapping = item.mapping else { return nil }
        let outer = KubeconfigValue(members: mapping, path: path, title: "\(kind.rawValue) \(name.quotedForUser)")
        guard let node = outer.node(kind.rawValue) else { return KubeconfigValue(members: [:], path: path, title: outer.title) }
        guard let members = node.mapping else { throw outer.wrong("\(kind.rawValue) is not a mapping", node) }
        return KubeconfigValue(members: members, path: path, title: outer.title)
    }

    private static func name(of item: Node) -> String {
        item.mapping?.first { $0.key.scalar?.string == "name" }?.value.scalar?.string ?? ""
    }
}

extension String {
    /// The text in quotation marks, safe to show.
    var quotedForUser: String { "\"" + Printable.text(self) + "\"" }
}
