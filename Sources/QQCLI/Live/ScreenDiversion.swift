import Glibc
import Synchronization

// While a picture is on the terminal, lines would tear it.
extension Screen {
    /// Something that was to be written, and where.
    struct Piece: Sendable {
        let text: String
        let descriptor: CInt

        /// Writes it after all. There is nobody to tell where that fails.
        func write() { try? writeAll(text, to: descriptor) }
    }

    private static let taker = Mutex<(@Sendable (Piece) -> Void)?>(nil)

    /// Has `taker` given what is meant for the terminal; nil to have it written again.
    static func divert(_ taker: (@Sendable (Piece) -> Void)?) { self.taker.withLock { $0 = taker } }

    /// - Returns: whether the piece went to the one that takes them, and is not to be written. What goes to a file or a pipe tears nothing.
    static func isDiverted(_ piece: Piece) -> Bool {
        guard let taker = taker.withLock({ $0 }), isatty(piece.descriptor) == 1 else { return false }
        taker(piece)
        return true
    }
}
