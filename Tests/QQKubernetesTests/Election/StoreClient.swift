import QQCore
import QQHTTP
import Support
import Synchronization

@testable import QQKubernetes

/// Calls to the store as a client makes them, without a network: the time that an answer takes passes on the clock.
final class StoreClient: APICalling {
    typealias Hook = @Sendable (APIRequest) async -> Void

    let endpoint = "https://store:6443"
    private let api: LeaseAPI
    private let user: LeaseAPI.User
    private let clock: StoreClock?
    private let hasDate: Bool
    private let hooks = Mutex<(before: Hook?, after: Hook?)>((nil, nil))

    /// - Parameter clock: nil for real time.
    init(_ api: LeaseAPI, as user: LeaseAPI.User = .admin, clock: StoreClock?, hasDate: Bool = true) {
        (self.api, self.user, self.clock, self.hasDate) = (api, user, clock, hasDate)
    }

    /// What happens between the decision to send a request and its arrival, and between its effect and the answer.
    func set(before: Hook?, after: Hook?) { hooks.withLock { $0 = (before, after) } }

    func prepare() {}

    func close() async {}

    func call(_ request: APIRequest, until deadline: BootInstant) async throws(APIFailure) -> APIAnswer {
        let hooks = hooks.withLock { $0 }
        await hooks.before?(request)
        let outcome = api.handle(raw(request))
        await hooks.after?(request)
        switch outcome {
        case .answer(let answer):
            if let clock {
                guard clock.now() + answer.after < deadline || answer.after == .zero else {
                    clock.pass(max(deadline.duration(since: clock.now()), .zero))
                    throw unanswered(.timedOut)
                }
                clock.pass(answer.after)
            }
            guard (200..<300).contains(answer.status) else { throw failure(answer) }
            return APIAnswer(
                status: answer.status, body: answer.json ?? .null, text: answer.text,
                date: hasDate ? clock.map { WallTime(seconds: $0.wall.seconds) } : nil)
        case .silence(.closed(let after)):
            clock?.pass(after)
            throw unanswered(.disconnected)
        case .silence(.forever), .stream:
            if let clock { clock.pass(max(deadline.duration(since: clock.now()), .zero)) }
            throw unanswered(.timedOut)
        }
    }

    func stream(_ request: APIRequest, until deadline: BootInstant) async throws(APIFailure) -> AsyncThrowingStream<JSONValue, any Error> {
        switch api.handle(raw(request)) {
        case .answer(let answer): throw failure(answer)
        case .silence: throw unanswered(.disconnected)
        case .stream(let watch, _):
            return AsyncThrowingStream { continuation in
                let reading = Task {
                    while let event = await watch.next() { continuation.yield(event) }
                    continuation.finish()
                }
                continuation.onTermination = { _ in
                    watch.cancel()
                    reading.cancel()
                }
            }
        }
    }

    private func raw(_ request: APIRequest) -> LeaseAPI.Request {
        LeaseAPI.Request(
            request.method.rawValue, request.path, query: request.query.map { ($0.name, $0.value) },
            headers: [("content-type", "application/json"), ("user-agent", "qq/1")], body: request.body.map { JSONWriter.bytes($0) } ?? [],
            certificate: user)
    }

    private func unanswered(_ kind: HTTPFailure.Kind) -> APIFailure {
        let transport = HTTPFailure(kind, "no answer", at: endpoint, wasSent: true)
        return APIFailure(message: "no answer", transport: transport, endpoint: endpoint, credential: "a test")
    }

    private func failure(_ answer: LeaseAPI.Answer) -> APIFailure {
        let status = answer.json
        return APIFailure(
            status: answer.status, reason: status?["reason"]?.stringValue, message: status?["message"]?.stringValue ?? answer.text,
            kind: status?["details"]?["kind"]?.stringValue,
            causes: status?["details"]?["causes"]?.arrayValue?.compactMap { $0["reason"]?.stringValue } ?? [], endpoint: endpoint,
            credential: "a test")
    }
}
