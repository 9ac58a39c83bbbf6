import GRPCCore
import QQCore
import QQGRPC
import QQNetwork
import SwiftProtobuf
import Synchronization

/// The members of a cluster at the configured endpoints: single tries, the endpoint that answered last, and the login.
final class Members: Sendable {
    let options: EtcdOptions
    let clock: any LeaseClock
    let endpoints: [GRPCEndpoint]
    let deadlines: Deadlines
    private let state = Mutex(State())
    /// Called with the endpoint that did not answer for a whole try, and with the time at which the try began.
    let onSilence = Mutex<(@Sendable (Int, BootInstant) -> Void)?>(nil)

    private struct State {
        /// The endpoint to ask first.
        var preferred = 0
        var login = LoginState()
        /// Callers that wait for the login that is under way; nil if none is.
        var loginWaiters: [FirstAnswer<Result<Void, EtcdFailure>>]?
    }

    init(_ options: EtcdOptions, clock: any LeaseClock) {
        self.options = options
        self.clock = clock
        var settings = GRPCSettings(tls: options.tls)
        settings.plainTextHint = "without TLS, the server's URL begins with etcd://"
        // The servers end connections that are pinged more often than every 5 s.
        settings.keepalive = .init(interval: .seconds(10), timeout: .seconds(3))
        endpoints = options.endpoints.map { GRPCEndpoint($0, settings, clock: clock) }
        deadlines = Deadlines(clock, on: { NetworkThread.executor })
    }

    var preferred: Int { state.withLock { $0.preferred } }
    var canLogIn: Bool { options.login != nil }
    /// The token to send, and its number.
    var token: (text: String?, generation: Int) { state.withLock { ($0.login.token, $0.login.generation) } }
    func tokenRefused(_ generation: Int) { state.withLock { $0.login.refused(generation) } }

    func answered(_ index: Int) { state.withLock { $0.preferred = index } }

    /// Notes that a member cannot be reached, or does not answer: the next call begins with another.
    /// - Parameter began: when the try began.
    func failed(_ index: Int, since began: BootInstant) {
        state.withLock { state in if state.preferred == index { state.preferred = (index + 1) % endpoints.count } }
        // A shorter time says nothing: the caller's deadline was near.
        guard clock.now().duration(since: began) >= .seconds(1) else { return }
        onSilence.withLock { $0 }?(index, began)
    }

    /// One try at one member. A request that changes something is sent once: whether it was sent before decides what a refusal means.
    func ask<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ method: EtcdMethod, _ request: Request, at index: Int, isChange: Bool, needsLeader: Bool, token: String?,
        until deadline: BootInstant
    ) async throws(EtcdFailure) -> Response {
        let began = clock.now()
        do throws(GRPCFailure) {
            let response: Response = try await endpoints[index].call(
                method.descriptor, request, isRepeatable: !isChange, timeout: deadline.duration(since: began),
                metadata: EtcdMethod.metadata(needsLeader: needsLeader, token: token))
            answered(index)
            return response
        } catch {
            if !error.isAnswer, error.code != .cancelled { failed(index, since: began) }
            throw EtcdFailure(error)
        }
    }

    /// Waits for an answer of another task.
    /// - Parameters:
    ///   - late: the answer at the deadline.
    ///   - interrupted: the answer if the task is cancelled.
    func wait<Answer: Sendable>(
        for answer: FirstAnswer<Answer>, until deadline: BootInstant, late: Answer, interrupted: Answer
    ) async -> Answer {
        let watch = deadlines.watch(until: deadline) { answer.give(late) }
        defer { deadlines.forget(watch) }
        return await withTaskCancellationHandler {
            await answer.wait()
        } onCancel: {
            answer.give(interrupted)
        }
    }

    // MARK: The login

    /// Logs in, if there is a user and there is no token. All callers share one login, which continues if this task is cancelled.
    func logIn(by deadline: BootInstant) async throws(EtcdFailure) {
        guard let login = options.login else { return }
        let answer = FirstAnswer<Result<Void, EtcdFailure>>()
        let step = state.withLock { state -> (isNeeded: Bool, begins: Bool) in
            guard state.login.isNeeded else { return (false, false) }
            defer { state.loginWaiters = (state.loginWaiters ?? []) + [answer] }
            return (true, state.loginWaiters == nil)
        }
        guard step.isNeeded else { return }
        if step.begins {
            Task(executorPreference: NetworkThread.executor) {
                let outcome = await self.authenticate(login, by: deadline)
                let waiters = self.state.withLock { state in
                    switch outcome {
                    case .success(let token?): state.login.loggedIn(token)
                    case .success(nil): state.login.isNotEnabled()
                    case .failure: break
                    }
                    defer { state.loginWaiters = nil }
                    return state.loginWaiters ?? []
                }
                for waiter in waiters { waiter.give(outcome.map { _ in }) }
            }
        }
        try await wait(
            for: answer, until: deadline, late: .failure(EtcdFailure(.unavailable, "not logged in in time")),
            interrupted: .failure(EtcdFailure(.cancelled, "interrupted"))
        ).get()
    }

    /// - Returns: the token; nil if the cluster has no authentication.
    private func authenticate(_ login: EtcdLogin, by deadline: BootInstant) async -> Result<String?, EtcdFailure> {
        var request = Etcdserverpb_AuthenticateRequest()
        (request.name, request.password) = (login.user, login.password)
        do throws(EtcdFailure) {
            let response: Etcdserverpb_AuthenticateResponse = try await call(
                .authenticate, request, isChange: false, needsLeader: true, by: deadline)
            return .success(response.token)
        } catch { return error.meaning == .authNotEnabled ? .success(nil) : .failure(error) }
    }

    // MARK: Calls with several tries

    /// Makes a call, which can be carried out twice, at one member after another until the deadline.
    /// - Parameter only: the endpoint to ask, once; nil to ask any.
    func call<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ method: EtcdMethod, _ request: Request, isChange: Bool, needsLeader: Bool, only: Int? = nil, by deadline: BootInstant
    ) async throws(EtcdFailure) -> Response {
        var attempts = CallAttempts(first: only ?? preferred, count: endpoints.count, isChange: isChange)
        return try await attempt(&attempts, only: only, isAuthenticated: method != .authenticate, by: deadline) {
            (index, token, tryDeadline) throws(EtcdFailure) in
            // The only endpoint gets all of the time.
            try await self.ask(
                method, request, at: index, isChange: isChange, needsLeader: needsLeader, token: token,
                until: only == nil ? tryDeadline : deadline)
        }
    }

    /// Tries until one succeeds, as `attempts` says.
    /// - Parameters:
    ///   - only: the endpoint to ask; nil for any.
    ///   - isAuthenticated: whether to log in first, if there is a user.
    ///   - body: one try, at the endpoint, with the token, until a time.
    func attempt<Value: Sendable>(
        _ attempts: inout CallAttempts, only: Int?, isAuthenticated: Bool, by deadline: BootInstant,
        _ body: (_ index: Int, _ token: String?, _ until: BootInstant) async throws(EtcdFailure) -> Value
    ) async throws(EtcdFailure) -> Value {
        guard !endpoints.isEmpty else { throw EtcdFailure(.configuration, "no endpoint is given") }
        var last: EtcdFailure?
        while true {
            guard clock.now() < deadline else { throw attempts.final(last ?? EtcdFailure(.unavailable, "no answer in time")) }
            if isAuthenticated {
                do throws(EtcdFailure) { try await logIn(by: deadline) } catch { throw attempts.final(error) }
            }
            let (token, generation) = token
            let tryDeadline = endOfTry(patience: attempts.patience, by: deadline)
            do throws(EtcdFailure) { return try await body(attempts.endpoint, isAuthenticated ? token : nil, tryDeadline) } catch {
                last = error
                switch attempts.failed(error, canLogIn: isAuthenticated && canLogIn, wasLate: clock.now() >= tryDeadline) {
                case .logIn: tokenRefused(generation)
                case .giveUp(let failure): throw failure
                case .ask(_, let pause):
                    if only != nil { throw attempts.final(error) }
                    guard pause > .zero else { continue }
                    guard (try? await clock.sleep(until: min(deadline, clock.now() + pause))) != nil else {
                        throw attempts.final(EtcdFailure(.cancelled, "interrupted", at: error.endpoint))
                    }
                }
            }
        }
    }

    /// Where there are other members to ask, a try gets at most half of the time that is left.
    private func endOfTry(patience: Int, by deadline: BootInstant) -> BootInstant {
        let now = clock.now()
        let time = options.tryTime * patience
        guard endpoints.count > 1 else { return min(deadline, now + time) }
        let half = max(deadline.duration(since: now) / 2, Self.shortestTry)
        return min(deadline, now + min(time, half))
    }

    private static let shortestTry = Duration.milliseconds(500)

    func close() { for endpoint in endpoints { endpoint.close() } }
}
