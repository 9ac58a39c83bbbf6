import QQCore
import QQHTTP
import Synchronization

@testable import QQConsul

/// Calls to the store as a client makes them, without a network.
final class StoreAgent: ConsulCalling {
    /// What becomes of a request.
    enum Fate: Sendable {
        case normal
        /// It does not reach the store.
        case unavailable
        /// It is carried out, and its answer is lost.
        case lostAnswer
        /// Its sender gives up, and it is carried out when `deliver` is called.
        case late
    }

    /// Some minutes of a query that waits, so that no test runs forever.
    private static let mostPolls = 60_000

    let endpoints = ["store:8500"]
    let store: KeyStore
    private let clock: StoreClock
    private let fate = Mutex<@Sendable (ConsulRequest) -> Fate>({ _ in .normal })
    private let waiting = Mutex<[ConsulRequest]>([])
    private let sent = Mutex<[ConsulRequest]>([])

    /// Whether queries that wait let time pass. Otherwise it stands still until something changes.
    private let letsTimePass: Bool

    init(_ store: KeyStore, _ clock: StoreClock, letsTimePass: Bool) {
        (self.store, self.clock, self.letsTimePass) = (store, clock, letsTimePass)
    }

    func set(_ fate: @escaping @Sendable (ConsulRequest) -> Fate) { self.fate.withLock { $0 = fate } }

    func heal() { set { _ in .normal } }

    /// Carries out the requests that were held up.
    func deliver() {
        let all = waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        for request in all { _ = store.answer(request) }
    }

    /// The requests that were sent, as `PUT /v1/txn`.
    var log: [String] { sent.withLock { $0.map { "\($0.method.rawValue) \($0.path)" } } }

    func prepare() {}

    func close() async {}

    func call(_ request: ConsulRequest, until deadline: BootInstant) async throws(ConsulFailure) -> ConsulAnswer {
        sent.withLock { $0.append(request) }
        switch fate.withLock({ $0 })(request) {
        case .normal: break
        case .unavailable: throw ConsulFailure(.unavailable, "No cluster leader", status: 500, at: endpoints[0])
        case .lostAnswer:
            _ = store.answer(request)
            throw unanswered
        case .late:
            waiting.withLock { $0.append(request) }
            throw unanswered
        }
        let end = request.query.first { $0.name == "wait" }.flatMap { try? DurationText.parse($0.value) }.map { clock.now() + $0 }
        var polls = 0
        while true {
            if let answer = store.answer(request) { return try understood(answer) }
            if Task.isCancelled { throw ConsulFailure(HTTPFailure(.cancelled, "interrupted", at: endpoints[0], wasSent: true)) }
            guard let end, clock.now() < end else {
                var unchanged = request
                unchanged.query.removeAll { $0.name == "index" }
                if let answer = store.answer(unchanged) { return try understood(answer) }
                throw unanswered
            }
            polls += 1
            guard polls < Self.mostPolls else { throw unanswered }
            if letsTimePass {
                try? await clock.sleep(until: min(clock.now() + .milliseconds(100), end))
            } else {
                try? await Task.sleep(for: .milliseconds(1))
            }
        }
    }

    func call(_ request: ConsulRequest, at endpoint: Int, until deadline: BootInstant) async throws(ConsulFailure) -> ConsulAnswer {
        try await call(request, until: deadline)
    }

    private var unanswered: ConsulFailure {
        ConsulFailure(HTTPFailure(.disconnected, "Connection reset by peer", at: endpoints[0], wasSent: true))
    }

    private func understood(_ answer: KeyStore.Answer) throws(ConsulFailure) -> ConsulAnswer {
        let found = ConsulAnswer(
            status: answer.status, index: answer.index, body: answer.body, text: answer.text, endpoint: endpoints[0])
        if let failure = ConsulFailure(found) { throw failure }
        return found
    }
}
