import QQCore

/// The orders that the guardian has not taken yet. A stopped guardian takes none; qq itself carries out an order that is not taken in time.
/// Pure.
struct Orders: Sendable {
    enum Order: Sendable, Hashable {
        case run
        case extend
        case pass(Int32)
        case terminate
        case kill
    }

    struct Sent: Sendable, Hashable {
        var number: UInt64
        var order: Order
        /// Time by which the guardian has to take the order.
        var due: BootInstant
    }

    /// Time that the guardian has to take an order.
    static let patience = Duration.milliseconds(200)
    /// Time that it has to take the order to run the command: a guardian that is stopped before that does no harm, and a busy machine can
    /// take this long.
    static let patienceToBegin = Duration.seconds(5)

    private(set) var sent: [Sent] = []
    private var last: UInt64 = 0
    /// Whether an order was not taken in time, and no order has been taken since.
    private(set) var isSilent = false

    /// Time at which the first order is due that was not taken.
    var due: BootInstant? { sent.map(\.due).min() }

    /// Notes that an order is sent now. Returns nil if the same order is under way, because sending it again changes nothing.
    mutating func send(_ order: Order, at now: BootInstant) -> Sent? {
        last += 1
        if let earlier = sent.first(where: { $0.order == order }) {
            // Each renewal has another deadline and is sent; the first one shows whether any is taken.
            return order == .extend ? Sent(number: last, order: order, due: earlier.due) : nil
        }
        let new = Sent(number: last, order: order, due: now + (order == .run ? Self.patienceToBegin : Self.patience))
        sent.append(new)
        return new
    }

    mutating func taken(_ number: UInt64) {
        sent.removeAll { $0.number == number }
        isSilent = false
    }

    /// Removes and returns the orders that were not taken in time.
    mutating func takeLate(at now: BootInstant) -> [Order] {
        let late = sent.filter { now >= $0.due }
        sent.removeAll { now >= $0.due }
        if !late.isEmpty { isSilent = true }
        return late.map(\.order)
    }

    /// Drops all orders, because no guardian is left to take them.
    mutating func forget() { sent = [] }
}
