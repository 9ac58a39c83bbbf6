import QQCore

/// The keys of elections: `[PREFIX/]NAME/<lease id in lower-case hex>` for each contender, as `etcdctl lock` and `etcdctl elect` have them. Pure.
///
/// The holder is asked to step down by the key `[PREFIX/]NAME.step-down`. It is next to the contenders and not among them, because etcdctl counts everything
/// below `NAME/` as a contender. A role for the prefix includes it, and so does one for all keys that begin with NAME. It is bound to a lease of the process that
/// asks, and the holder deletes it as its answer: no other process shows by this that it can be asked, and nothing is left behind.
///
/// A contender's note has the key `[PREFIX/]NAME.note.<lease id>`, put together with that of the contender and under the same lease: it belongs to that
/// contender alone, and ends with it. It is not in the contender's own value, because etcdctl takes the whole value for the identity. The lease id shows
/// whether there is a note (`LeaseID.hasNote`), so that nobody reads one in vain.
public struct ContenderNaming: Sendable, Hashable {
    /// Without slashes at the ends; can be empty.
    public let prefix: String

    private static let longest = 512
    private static let requestEnding = ".step-down"
    private static let noteEnding = ".note."

    public init(prefix: String) { self.prefix = String(prefix.drop { $0 == "/" }.reversed().drop { $0 == "/" }.reversed()) }

    /// The part of all keys before the name.
    var root: String { prefix.isEmpty ? "" : prefix + "/" }

    /// All keys of an election's contenders, and keys that are none.
    package func below(_ name: String) -> EtcdKeys { .below(Array("\(root)\(name)/".utf8)) }

    package func key(_ name: String, lease: Int64) -> [UInt8] { Array("\(root)\(name)/\(LeaseID.text(lease))".utf8) }

    /// The key by which the holder is asked to step down.
    func request(_ name: String) -> [UInt8] { Array("\(root)\(name)\(Self.requestEnding)".utf8) }

    /// The key of the note of the contender with this lease.
    func note(_ name: String, lease: Int64) -> [UInt8] { Array("\(root)\(name)\(Self.noteEnding)\(LeaseID.text(lease))".utf8) }

    /// The lease that a key of `below(name)` is named by; nil if the key is not a contender.
    public func lease(ofKey key: [UInt8], in name: String) -> Int64? {
        let start = Array("\(root)\(name)/".utf8)
        guard key.starts(with: start) else { return nil }
        return LeaseID.parse(key.dropFirst(start.count))
    }

    /// The election of a key whose last part is its own lease; nil if the key is something else.
    public func name(of key: EtcdKeyValue) -> String? {
        guard let (name, lease) = place(of: key.key), lease == key.lease else { return nil }
        return name
    }

    /// The election and the lease that a key is named by; nil if it is named by none. Foreign keys can have such names by chance.
    func place(of key: [UInt8]) -> (name: String, lease: Int64)? {
        guard let slash = key.lastIndex(of: UInt8(ascii: "/")), let lease = LeaseID.parse(key[(slash + 1)...]),
            let text = String(validating: key[..<slash], as: UTF8.self), text.hasPrefix(root)
        else { return nil }
        let name = String(text.dropFirst(root.count))
        return Self.problem(withPath: name) == nil ? (name, lease) : nil
    }

    /// Why `path` cannot be a name or a prefix; nil if it can.
    public static func problem(withPath path: String) -> String? {
        if path.isEmpty { return "it is empty" }
        if path.utf8.count > longest { return "it has more than \(longest) bytes" }
        if path.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) { return "it has control characters" }
        if path.split(separator: "/", omittingEmptySubsequences: false).contains("") {
            return "it has a slash at an end, or two in a row"
        }
        return nil
    }
}

/// Lease ids as etcdctl writes them: in lower-case hex without padding, with a minus sign for negative ones.
public enum LeaseID {
    public static func text(_ id: Int64) -> String { String(id, radix: 16) }

    /// - Returns: nil for everything that is not the text of a lease id.
    public static func parse(_ bytes: some Collection<UInt8>) -> Int64? {
        guard (1...17).contains(bytes.count), let text = String(validating: bytes, as: UTF8.self), let id = Int64(text, radix: 16), id != 0,
            Self.text(id) == text
        else { return nil }
        return id
    }

    public static func parse(_ text: String) -> Int64? { parse(Array(text.utf8)) }

    /// The last four hex digits of the ids of contenders with a note. A lease of another program can have them by chance, which costs one read.
    private static let noteMark: Int64 = 0x6e74

    /// An id for a new lease. The server accepts negative ones, which have other keys in other clients.
    /// - Parameter number: drawn at random from 1 on.
    static func random(withNote: Bool = false, from number: Int64 = .random(in: 1 ... .max)) -> Int64 {
        let id = max(number, 1)
        if withNote { return (id & ~0xffff) | noteMark }
        return hasNote(id) ? id ^ 1 : id
    }

    /// Whether the contender with this lease can have a note.
    public static func hasNote(_ id: Int64) -> Bool { id & 0xffff == noteMark }
}
