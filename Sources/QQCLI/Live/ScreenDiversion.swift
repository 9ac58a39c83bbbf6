import Glibc
import Synchronization

// Output is diverted while the live view or a command has the terminal. Other lines would tear the view, or mix with the command's output.
extension Screen {
    /// A text, and the descriptor to which it should have been written.
    struct Piece: Sendable {
        let text: String
        let descriptor: CInt

        /// Writes the text now. A failure cannot be reported anywhere.
        func write() { try? Streams.write(text, to: descriptor, mayLeave: true) }
    }

    /// The latest pieces, held while something else has the terminal. That can take weeks; the oldest pieces are therefore dropped.
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

        /// Writes all pieces and forgets them.
        mutating func write() {
            if dropped > 0 { Messages.write(own: "\(dropped) earlier messages are left out") }
            for piece in pieces { piece.write() }
            self = Held()
        }
    }

    private static let taker = Mutex<(@Sendable (Piece) -> Void)?>(nil)

    /// Passes all output for the terminal to `taker` from now on; nil to write it to the terminal again.
    static func divert(_ taker: (@Sendable (Piece) -> Void)?) { self.taker.withLock { $0 = taker } }

    /// - Returns: whether the piece was passed on and must not be written. Output to a file or a pipe is never diverted.
    static func isDiverted(_ piece: Piece) -> Bool {
        guard let taker = taker.withLock({ $0 }), isatty(piece.descriptor) == 1 else { return false }
        taker(piece)
        return true
    }
}
