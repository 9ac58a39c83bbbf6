import NIOCore

/// The answers to one question that anybody may answer, as often as it wants to: so there are bounds. Lives on the event loop.
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
    ///   - pause: after which there will be no more.
    ///   - whole: is called once, with all that came.
    init(pause: Duration, whole: @escaping ([NATSMessage]) -> Void) {
        self.pause = .nanoseconds(pause.nanoseconds)
        self.whole = whole
    }

    /// - Parameter box: what holds this.
    /// - Returns: whether more is wanted.
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
        if isFirst { lookLater(box) }
        return true
    }

    func end() {
        guard !hasEnded else { return }
        hasEnded = true
        whole(found)
    }

    /// One look at a time, and not one for each answer.
    private func lookLater(_ box: NIOLoopBoundBox<Answers>) {
        guard !hasEnded, let last else { return }
        let due = last + pause
        if due <= .now() { return end() }
        box.eventLoop.scheduleTask(deadline: due) { box.value.lookLater(box) }
    }
}
