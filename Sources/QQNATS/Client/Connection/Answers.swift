import NIOCore

/// The answers to one request that any number of processes can answer, each any number of times, which is why they are limited. Confined to the event loop.
final class Answers {
    static let most = 4096
    static let mostBytes = 16 << 20

    private let pause: TimeAmount
    private let whole: ([NATSMessage]) -> Void
    private var found: [NATSMessage] = []
    private var bytes = 0
    private var last: NIODeadline?
    private var hasEnded = false

    /// - Parameters:
    ///   - pause: silence after which the answers count as complete.
    ///   - whole: called once, with all answers.
    init(pause: Duration, whole: @escaping ([NATSMessage]) -> Void) {
        self.pause = .nanoseconds(pause.nanoseconds)
        self.whole = whole
    }

    /// - Parameter box: the box that holds these answers, for the timer.
    /// - Returns: whether more answers are wanted.
    func add(_ message: NATSMessage, _ box: NIOLoopBoundBox<Answers>) -> Bool {
        guard !hasEnded else { return false }
        found.append(message)
        bytes += message.payload.count
        guard found.count < Self.most, bytes < Self.mostBytes else {
            end()
            return false
        }
        let isFirst = last == nil
        last = .now()
        if isFirst { endAfterPause(box) }
        return true
    }

    func end() {
        guard !hasEnded else { return }
        hasEnded = true
        whole(found)
    }

    /// Keeps a single timer running, instead of one for each answer.
    private func endAfterPause(_ box: NIOLoopBoundBox<Answers>) {
        guard !hasEnded, let last else { return }
        let due = last + pause
        if due <= .now() { return end() }
        box.eventLoop.scheduleTask(deadline: due) { box.value.endAfterPause(box) }
    }
}
