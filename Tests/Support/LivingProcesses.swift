import Glibc

/// A process as /proc shows it.
public struct LivingProcess: Sendable, Hashable, CustomStringConvertible {
    public let pid: pid_t
    public let parent: pid_t
    public let group: pid_t
    public let session: pid_t
    /// As the kernel has it: at most 15 bytes.
    public let name: String
    public let state: Character

    public var description: String { "\(name) (\(pid), child of \(parent), \(state))" }
    public var isStopped: Bool { state == "T" }

    /// nil where there is none, or only a zombie.
    public init?(_ pid: pid_t) {
        let text = String(decoding: readBytes("/proc/\(pid)/stat") ?? [], as: UTF8.self)
        guard let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: close)...].split(separator: " ")
        guard fields.count > 3, let parent = pid_t(fields[1]), let group = pid_t(fields[2]), let session = pid_t(fields[3]),
            let state = fields[0].first, state != "Z", state != "X"
        else { return nil }
        self.pid = pid
        self.parent = parent
        self.group = group
        self.session = session
        self.state = state
        name = String(text[text.index(after: open)..<close])
    }

    public static func all() -> [LivingProcess] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var found: [LivingProcess] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if let pid = pid_t(name), let process = LivingProcess(pid) { found.append(process) }
        }
        return found
    }

    /// Those that were started with this entry in their environment, or below one that was.
    public static func marked(_ entry: String) -> [LivingProcess] {
        let wanted = Array(entry.utf8)
        return all().filter { process in
            (readBytes("/proc/\(process.pid)/environ") ?? []).split(separator: 0).contains { $0.elementsEqual(wanted) }
        }
    }

    /// Everything below a process, itself left out.
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

/// The bytes of a file; nil where it cannot be read.
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

/// The text of a file; empty where it cannot be read.
public func readText(_ path: String) -> String { String(decoding: readBytes(path) ?? [], as: UTF8.self) }
