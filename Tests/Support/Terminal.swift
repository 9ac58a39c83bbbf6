import CSupport
import Glibc

/// A pseudoterminal that the test operates.
public final class Terminal: Sendable {
    private let master: CInt
    /// Path of the other end, which a child opens as its own terminal.
    public let path: String

    public init(rows: Int = 24, columns: Int = 80) throws {
        var name = [CChar](repeating: 0, count: 128)
        master = support_terminal(CInt(rows), CInt(columns), &name, name.count)
        guard master >= 0 else { throw CannotStart("cannot open a terminal: \(String(cString: strerror(errno)))") }
        path = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { close(master) }

    /// Types text at the keyboard.
    public func type(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(master, bytes, bytes.count)
    }

    public func resize(rows: Int, columns: Int) { support_terminal_resize(master, CInt(rows), CInt(columns)) }

    /// The output since the last read.
    public func read() -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = Glibc.read(master, &buffer, buffer.count)
            if count <= 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }

    public static let interrupt = "\u{3}"
    public static let suspend = "\u{1a}"
    public static let quit = "\u{1c}"
    public static let end = "\u{4}"
}
