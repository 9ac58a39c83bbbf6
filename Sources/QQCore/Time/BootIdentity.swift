import Glibc

/// Identifies the CLOCK_BOOTTIME that a moment was read from: one boot of one kernel, in one time namespace (time_namespaces(7)).
public struct BootIdentity: Sendable, Hashable {
    /// /proc/sys/kernel/random/boot_id. In a time namespace whose clock differs from the machine's, its difference follows after a slash, as
    /// in /proc/PID/timens_offsets (`UUID/20.0` is 20 seconds ahead), or the namespace's number if that cannot be read. Empty if /proc cannot be read:
    /// an empty identity equals no other.
    ///
    /// Versions of qq that do not know of namespaces take an identity with a slash for another machine.
    public let text: String

    public init(_ text: String) { self.text = text }

    /// The clock of this process.
    public static let own = BootIdentity(kernel: file("/proc/sys/kernel/random/boot_id"), clock: namespace())

    private init(kernel: String, clock: String?) {
        let kernel = String(kernel.prefix { !$0.isWhitespace })
        text = kernel.isEmpty ? "" : kernel + (clock.map { "/" + $0 } ?? "")
    }

    /// The kernel, whatever the namespace.
    public var kernel: Substring { text.prefix { $0 != "/" } }

    /// Whether both are known and the same clock.
    public func isSameClock(as other: BootIdentity) -> Bool { !text.isEmpty && text == other.text }

    /// Whether both are known and the same boot of one kernel, whose locks both see.
    public func isSameKernel(as other: BootIdentity) -> Bool { !kernel.isEmpty && kernel == other.kernel }

    /// Whether child processes read the same clock: they do not after unshare(2) with CLONE_NEWTIME, until the next exec or fork.
    public static var isChildrens: Bool { link("/proc/self/ns/time") == link("/proc/self/ns/time_for_children") }

    /// Distinguishes the namespace of this process from the machine's own; nil in that one, and in others with the same clock.
    private static func namespace() -> String? {
        guard let own = link("/proc/self/ns/time") else { return nil }
        // The offsets are those of the namespace of child processes.
        guard isChildrens, let offset = offset(in: file("/proc/self/timens_offsets")) else {
            // The number of the machine's own, fixed in the kernel (include/linux/proc_ns.h).
            return own == "time:[4026531834]" ? nil : own
        }
        return offset == "0.0" ? nil : offset
    }

    /// The seconds and nanoseconds of the line for CLOCK_BOOTTIME.
    static func offset(in text: String) -> String? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 3, words[0] == "boottime" || words[0] == "7" else { continue }
            return words[1] + "." + words[2]
        }
        return nil
    }

    private static func link(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 256)
        let count = readlink(path, &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }

    private static func file(_ path: String) -> String { ReadableFile.text(of: path, upTo: 512) }
}
