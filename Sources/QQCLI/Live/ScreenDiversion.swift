import Glibc
import Synchronization

// While a picture is on the terminal, lines would tear it.
extension Screen {
    /// Something that was to be written, and where.
    struct Piece: Sendable {
        let text: String
        let descriptor: CInt

        /// Writes it after all. There is nobody to tell where that fails.
        func write() { try? Streams.write(text, to: descriptor, mayLeave: true) }
    }

    /// Pieces that are held while something else has the terminal, the latest ones: what is longest past is of least use, and the terminal may be somebody
    /// else's for weeks.
    struct Held: Sendable {
        private static let most = 1000
        private var pieces: [Piece] = []
        private var dropped = 0

        mutating func add(_ piece: Piece) {
            if pieces.count >= Self.most {
                pieces.removeFirst()
                dropped += 1
            }
            pieces.append(piece)
        }

        /// Writes and forgets all of them.
        mutating func write() {
            if dropped > 0 { Messages.write(own: "\(dropped) earlier messages are left out") }
            for piece in pieces { piece.write() }
            self = Held()
        }
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
