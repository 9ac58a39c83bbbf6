import QQCore

/// The orders to the guardian that it has not taken yet. One that is stopped takes none; what it does not take in time, qq does itself. Pure.
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
        /// When it is too late for the guardian.
        var due: BootInstant
    }

    /// How long the guardian has to take an order.
    static let patience = Duration.milliseconds(200)
    /// To begin: a guardian that is stopped before the command runs does no harm, and a machine that has much to do may take this long.
    static let patienceToBegin = Duration.seconds(5)

    private(set) var sent: [Sent] = []
    private var last: UInt64 = 0
    /// Whether an order was not taken in time, and none since.
    private(set) var isSilent = false

    /// When the first order is due that was not taken.
    var due: BootInstant? { sent.map(\.due).min() }

    /// Notes that an order is sent now; nil if the same order is under way: what an order says twice it says once.
    mutating func send(_ order: Order, at now: BootInstant) -> Sent? {
        last += 1
        if let earlier = sent.first(where: { $0.order == order }) {
            // Each extension has another deadline; the first one tells whether any is taken.
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

    /// Takes out the orders that were not taken in time.
    mutating func takeLate(at now: BootInstant) -> [Order] {
        let late = sent.filter { now >= $0.due }
        sent.removeAll { now >= $0.due }
        if !late.isEmpty { isSilent = true }
        return late.map(\.order)
    }

    /// There is nobody left to take them.
    mutating func forget() { sent = [] }
}
