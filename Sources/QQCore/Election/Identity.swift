import Glibc
import Synchronization

/// The id under which a process requests elections.
public enum Identity {
    /// The longest identity that every system accepts, in bytes.
    public static let maximumLength = 256

    /// `host/pid/random`: shows where the process runs, and is never shared by two processes.
    public static func generated() -> String {
        let random = UInt32.random(in: .min ... .max)
        let hex = String(random, radix: 16)
        let identity = "\(hostName())/\(getpid())/" + String(repeating: "0", count: 8 - hex.count) + hex
        made.withLock { _ = $0.insert(identity) }
        return identity
    }

    private static let made = Mutex<Set<String>>([])

    /// Whether this process generated the identity, so that no other process has it. An identity that was given, or saved by another process, might be
    /// shared, whatever it looks like.
    public static func isOurAlone(_ identity: String) -> Bool { made.withLock { $0.contains(identity) } }

    /// A random UUID (RFC 9562, version 4), for systems whose identities carry no information.
    public static func uuid() -> String {
        var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
        bytes[6] = bytes[6] & 0x0f | 0x40
        bytes[8] = bytes[8] & 0x3f | 0x80
        var text: [UInt8] = []
        for (place, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(place) { text.append(UInt8(ascii: "-")) }
            for digit in [byte >> 4, byte & 0xf] { text.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10) }
        }
        let identity = String(decoding: text, as: UTF8.self)
        made.withLock { _ = $0.insert(identity) }
        return identity
    }

    /// This machine's name as returned by gethostname(2). Bytes that are not UTF-8 become `\xNN`, so that two machines keep different names.
    public static func hostName() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        return UTF8Text.escaping(buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) })
    }

    /// Why `identity` cannot be used; nil if it can. An identity is 1 to 256 bytes without control characters.
    public static func problem(with identity: String) -> String? {
        if identity.isEmpty { return "an identity must not be empty" }
        if identity.utf8.count > maximumLength {
            return "an identity has at most \(maximumLength) bytes, this one has \(identity.utf8.count)"
        }
        if identity.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) { return "an identity must not hold control characters" }
        return nil
    }
}
