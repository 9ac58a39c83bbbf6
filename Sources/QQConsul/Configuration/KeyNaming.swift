import QQCore

/// The key of an election: `[PREFIX/]NAME/.lock`, as `consul lock [PREFIX/]NAME` has it, or `[PREFIX/]NAME[/ENDING]` for the leader election that Consul
/// documents, in which each program chooses its keys. A slot has a key beside `.lock`, which then is that of the semaphore of `consul lock -n`. Pure.
package struct KeyNaming: Sendable, Hashable {
    /// Without slashes at the ends; can be empty.
    let prefix: String
    /// The last part of the key; nil for that of `consul lock`. Empty if the name is the whole key.
    let ending: String?

    private static let lock = ".lock"
    private static let longest = 512

    /// Whether keys have the flags of `consul lock`. With an ending, flags are left as they are.
    var isLock: Bool { ending == nil }

    /// The part of all keys before the name.
    var root: String { prefix.isEmpty ? "" : prefix + "/" }

    private var tail: String {
        let last = ending ?? Self.lock
        return last.isEmpty ? "" : "/" + last
    }

    func key(_ name: String) -> String {
        guard isLock, let slot = Slot(name: name) else { return root + name + tail }
        return slot.count > 1 ? semaphore(slot.election) + Self.slot + "\(slot.number)-of-\(slot.count)" : root + slot.election + tail
    }

    /// The election of a key; nil if it has none.
    func name(ofKey key: String) -> String? {
        if let slot = slot(ofKey: key) { return slot.name }
        guard key.hasPrefix(root), key.hasSuffix(tail), key.utf8.count > root.utf8.count + tail.utf8.count else { return nil }
        let name = String(key.dropFirst(root.count).dropLast(tail.count))
        return problem(withName: name) == nil ? name : nil
    }

    // MARK: Slots

    private static let slot = ".slot-"

    /// The slot of a semaphore that an election with this name is; nil if it is none. A name with one slot is a lock, as for `consul lock -n 1`.
    func slot(_ name: String) -> Slot? {
        guard isLock, let slot = Slot(name: name), slot.count > 1 else { return nil }
        return slot
    }

    /// The beginning of all keys of a semaphore.
    /// - Parameter election: the name that its slots share.
    func semaphore(_ election: String) -> String { root + election + "/" }

    /// The key with the holders of a semaphore.
    func lockKey(_ election: String) -> String { semaphore(election) + Self.lock }

    /// The slot of a key; nil if it has none.
    func slot(ofKey key: String) -> Slot? {
        guard isLock, let slash = key.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        let last = key[slash...].dropFirst()
        guard last.hasPrefix(Self.slot), key.hasPrefix(root), key[..<slash].utf8.count > root.utf8.count else { return nil }
        let election = key[..<slash].dropFirst(root.count)
        guard let slot = Slot(name: election + "-" + last.dropFirst()), slot.count > 1, problem(withName: slot.name) == nil else {
            return nil
        }
        return slot
    }

    // MARK: Requests

    private static let requestEnding = ".step-down"

    /// Whether holders can be asked to step down. A name that is a whole key can begin the names of many others, which one query would read as well.
    var hasRequests: Bool { !tail.isEmpty }

    /// The key by which the holder of `key` is asked to step down. One query reads both.
    static func request(of key: String) -> String { key + requestEnding }

    /// Why `name` cannot be an election's; nil if it can.
    func problem(withName name: String) -> String? {
        if let slot = slot(name), let problem = Self.problem(withPath: slot.election) { return problem }
        return Self.problem(withPath: name)
    }

    static func problem(withEnding ending: String) -> String? { ending.isEmpty ? nil : problem(withPath: ending) }

    /// Why `path` cannot be a part of a key; nil if it can. Agents answer with a redirection to a path with empty parts or dots.
    static func problem(withPath path: String) -> String? {
        if path.isEmpty { return "it is empty" }
        if path.utf8.count > longest { return "it has more than \(longest) bytes" }
        return problem(withParts: path)
    }

    private static func problem(withParts text: String) -> String? {
        if text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) { return "it has control characters" }
        for part in text.split(separator: "/", omittingEmptySubsequences: false) {
            if part.isEmpty { return "it has a slash at an end, or two in a row" }
            if part == "." || part == ".." { return "it has a part '\(part)'" }
        }
        return nil
    }
}
