import CSupport
import Glibc

/// A process as /proc shows it, zombies excluded.
public struct LivingProcess: Sendable, Hashable, CustomStringConvertible {
    public let pid: pid_t
    public let parent: pid_t
    public let group: pid_t
    public let session: pid_t
    /// The name in the kernel, of at most 15 bytes.
    public let name: String
    public let state: Character

    public var description: String { "\(name) (\(pid), child of \(parent), \(state))" }
    public var isStopped: Bool { state == "T" }

    /// nil if there is no such process.
    public init?(_ pid: pid_t) {
        var found = support_process()
        guard support_process_read(pid, &found) == 1 else { return nil }
        self.init(found)
    }

    private init(_ found: support_process) {
        pid = found.pid
        parent = found.parent
        group = found.group
        session = found.session
        name = withUnsafeBytes(of: found.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        state = Character(Unicode.Scalar(UInt8(bitPattern: found.state)))
    }

    private static func list(_ mark: String?) -> [LivingProcess] {
        let room = 4096
        let found = [support_process](unsafeUninitializedCapacity: room) { buffer, count in
            count = Int(support_processes(mark, buffer.baseAddress, CInt(room)))
        }
        return found.map { LivingProcess($0) }
    }

    public static func all() -> [LivingProcess] { list(nil) }

    /// The processes that were started with this entry in their environment, and their descendants.
    public static func marked(_ entry: String) -> [LivingProcess] { list(entry) }

    /// The descendants of a process.
    public static func below(_ root: pid_t) -> [LivingProcess] {
        let all = all()
        var found: [LivingProcess] = []
        var wanted: Set<pid_t> = [root]
        while true {
            let next = all.filter { wanted.contains($0.parent) && !found.contains($0) }
            if next.isEmpty { return found }
            found += next
            wanted = Set(next.map(\.pid))
        }
    }
}

/// The bytes of a file; nil if it cannot be read.
public func readBytes(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        if count < 0 { return nil }
        if count == 0 { return bytes }
        bytes += buffer[..<count]
    }
}

/// The text of a file; empty if it cannot be read.
public func readText(_ path: String) -> String { String(decoding: readBytes(path) ?? [], as: UTF8.self) }
