import Glibc
import QQCore
import Support
import Synchronization
import Testing

@testable import QQKubernetes

/// When the program runs, and who waits for it. The program is a stand-in.
@Suite struct PluginCredentialsTests {
    /// A stand-in for the program: each run waits until the test gives its outcome.
    private final class Program: Sendable {
        private struct State {
            var runs = 0
            var outcomes: [Result<ExecCredential, PluginFault>] = []
        }

        private let state = Mutex(State())

        var runs: Int { state.withLock { $0.runs } }

        func give(_ token: String, for lifetime: Duration? = nil) { push(.success(ExecCredential(token, for: lifetime))) }

        func fail(_ fault: PluginFault = .exited(1, lastLine: nil)) { push(.failure(fault)) }

        private func push(_ outcome: Result<ExecCredential, PluginFault>) { state.withLock { $0.outcomes.append(outcome) } }

        func run() throws(PluginFault) -> ExecCredential {
            state.withLock { $0.runs += 1 }
            let end = ContinuousClock.now + .seconds(180)
            while ContinuousClock.now < end {
                if let outcome = state.withLock({ $0.outcomes.isEmpty ? nil : $0.outcomes.removeFirst() }) { return try outcome.get() }
                usleep(1000)
            }
            throw .stopped
        }
    }

    private let program = Program()
    private let clock = SkippingClock()
    private let credentials: PluginCredentials

    private static let now = WallTime(seconds: 1_000_000)

    init() throws {
        let folder = try ConfigurationFolder()
        guard
            case .plugin(let plugin) = try folder.access(user: "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: p}}")
                .credential.method
        else { throw CancellationError() }
        credentials = PluginCredentials(
            plugin, ClientSurroundings(requestTimeout: .seconds(1)), clock: clock, wallClock: { Self.now },
            run: { [program] _ throws(PluginFault) in try program.run() })
    }

    private func token(within limit: Duration = .seconds(180)) async throws -> String? {
        var deadline = clock.now() + limit
        return try await credentials.current(until: &deadline).authorization?.text
    }

    private func waitForToken(_ wanted: String) async throws {
        let end = ContinuousClock.now + .seconds(180)
        while try await token() != "Bearer " + wanted, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(1)) }
    }

    @Test func `one run serves all that wait`() async throws {
        let credentials = credentials
        let clock = clock
        let tasks = (0..<20).map { _ in
            Task {
                var deadline = clock.now() + .seconds(180)
                return try await credentials.current(until: &deadline).authorization?.text
            }
        }
        try await waitUntil("the first run") { program.runs == 1 }
        program.give("a")
        for task in tasks { #expect(try await task.value == "Bearer a") }
        #expect(try await token() == "Bearer a")
        #expect(program.runs == 1)
    }

    @Test func `a credential without end is kept for ever`() async throws {
        program.give("a")
        _ = try await token()
        clock.skip(to: clock.now() + .seconds(100_000_000))
        #expect(try await token() == "Bearer a")
        #expect(program.runs == 1)
    }

    @Test func `a credential is used until it expires`() async throws {
        program.give("a", for: .seconds(100))
        _ = try await token()
        clock.skip(to: clock.now() + .seconds(50))
        #expect(try await token() == "Bearer a")
        clock.skip(to: clock.now() + .seconds(51))
        program.give("b", for: .seconds(1000))
        #expect(try await token() == "Bearer b")
        #expect(program.runs == 2)
    }

    @Test func `a credential that lives long is replaced before it ends, without a wait`() async throws {
        program.give("a", for: .seconds(900))
        _ = try await token()
        clock.skip(to: clock.now() + .seconds(780))
        _ = try await token()
        #expect(program.runs == 1)
        clock.skip(to: clock.now() + .seconds(61))
        #expect(try await token() == "Bearer a")
        try await waitUntil("the second run") { program.runs == 2 }
        #expect(try await token() == "Bearer a")
        program.give("b")
        try await waitForToken("b")
        #expect(try await token() == "Bearer b" && program.runs == 2)
    }

    @Test func `a replacement that fails is tried again after a pause, and leaves the credential in use`() async throws {
        program.give("a", for: .seconds(900))
        _ = try await token()
        clock.skip(to: clock.now() + .seconds(841))
        program.fail()
        let began = ContinuousClock.now
        for _ in 0..<50 {
            #expect(try await token() == "Bearer a")
            try await Task.sleep(for: .milliseconds(1))
        }
        // On a busy machine this can take as long as the pause.
        let runs = program.runs
        #expect(runs <= 2 || ContinuousClock.now - began > .seconds(9))
        // The pause counts from the end of a run, which is a moment after its outcome was taken.
        for run in 2...3 {
            for pause in [50, 300, 2000, 10_000] where program.runs < run {
                try await Task.sleep(for: .milliseconds(pause))
                if program.runs < run { clock.skip(to: clock.now() + .seconds(11)) }
                #expect(try await token() == "Bearer a")
            }
            try await waitUntil("run \(run)") { program.runs >= run }
        }
        program.give("b")
    }

    @Test func `a credential that has expired already serves the requests that waited for it`() async throws {
        program.give("a", for: .seconds(-5))
        #expect(try await token() == "Bearer a")
        program.give("b")
        #expect(try await token() == "Bearer b")
    }

    @Test func `the wait for the first credential does not count against the request`() async throws {
        let waiting = Task { [credentials, clock] in
            let begin = clock.now()
            var deadline = begin + .milliseconds(1)
            let token = try await credentials.current(until: &deadline).authorization?.text
            return (token, deadline.duration(since: begin))
        }
        try await waitUntil("the first run") { program.runs == 1 }
        try await Task.sleep(for: .milliseconds(50))
        program.give("a")
        let (token, left) = try await waiting.value
        #expect(token == "Bearer a" && left > .milliseconds(20))
    }

    @Test func `a later wait ends at the deadline, and the run goes on for others`() async throws {
        program.give("a", for: .seconds(10))
        _ = try await token()
        clock.skip(to: clock.now() + .seconds(11))
        let error = try await #require(throws: CoordinationError.self) { try await token(within: .milliseconds(20)) }
        #expect(error.kind == .unavailable && error.reason == "the exec plugin p has not answered yet")
        program.give("b")
        #expect(try await token() == "Bearer b" && program.runs == 2)
    }

    @Test func `a wait ends when its task is cancelled`() async throws {
        let waiting = Task { [credentials] in
            var deadline = BootInstant.distantFuture
            _ = try await credentials.current(until: &deadline)
        }
        try await waitUntil("the first run") { program.runs == 1 }
        waiting.cancel()
        await #expect(throws: CoordinationError.self) { try await waiting.value }
        program.give("a")
    }

    @Test func `a failure is told to all that wait, and the next request runs the program again`() async throws {
        program.fail(.exited(3, lastLine: "no login"))
        let error = try await #require(throws: CoordinationError.self) { try await token() }
        #expect(error.reason == "the exec plugin p ended with exit code 3: no login" && error.kind == .unavailable)
        program.give("a")
        #expect(try await token() == "Bearer a")
    }

    // MARK: Refusals

    private func next(after token: String, within limit: Duration = .seconds(180)) async -> String? {
        await credentials.next(after: Credential(authorization: Secret("Bearer " + token)), until: clock.now() + limit)?.authorization?.text
    }

    @Test func `a credential that the server refuses is replaced by a new run`() async throws {
        program.give("a")
        _ = try await token()
        program.give("b")
        #expect(await next(after: "a") == "Bearer b")
        // Others that were refused with the old one find the new one.
        #expect(await next(after: "a") == "Bearer b")
        #expect(try await token() == "Bearer b")
        #expect(program.runs == 2)
    }

    @Test func `a program that gives the same again is not run for each refusal`() async throws {
        program.give("a")
        _ = try await token()
        program.give("a")
        #expect(await next(after: "a") == nil)
        #expect(await next(after: "a") == nil)
        #expect(program.runs == 2)
        clock.skip(to: clock.now() + .seconds(11))
        program.give("b")
        #expect(await next(after: "a") == "Bearer b")
        #expect(program.runs == 3)
    }

    @Test func `a run after a refusal that fails or takes too long leaves the refusal as it is`() async throws {
        program.give("a")
        _ = try await token()
        program.fail()
        #expect(await next(after: "a") == nil)
        clock.skip(to: clock.now() + .seconds(11))
        #expect(await next(after: "a", within: .milliseconds(20)) == nil)
        program.give("b")
        try await waitForToken("b")
        #expect(try await token() == "Bearer b")
    }

    @Test func `once closed, the program is not run any more`() async throws {
        credentials.close()
        await #expect(throws: CoordinationError.self) { try await token() }
        credentials.start()
        #expect(program.runs == 0)
    }
}

extension ExecCredential {
    /// A token that lives this long from `PluginCredentialsTests.now`.
    fileprivate init(_ token: String, for lifetime: Duration?) {
        let end = lifetime.map { #","expirationTimestamp":"\#((WallTime(seconds: 1_000_000) + $0).rfc3339())""# } ?? ""
        let text = #"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"\#(token)"\#(end)}}"#
        self = (try? ExecCredential(Array(text.utf8), as: .v1)) ?? { preconditionFailure("an ExecCredential") }()
    }
}

/// Tokens in files.
@Suite struct TokenSourceTests {
    private let clock = SkippingClock()
    private let folder: ConfigurationFolder

    init() throws { folder = try ConfigurationFolder() }

    private func source(_ user: String = "{tokenFile: token}") throws -> CredentialSource {
        CredentialSource(try folder.access(user: user).credential, ClientSurroundings(requestTimeout: .seconds(1)), clock: clock)
    }

    private func token(_ source: CredentialSource) async throws -> String? {
        var deadline = clock.now()
        return try await source.current(until: &deadline).authorization?.text
    }

    @Test func `the file is read again after 50 s`() async throws {
        try folder.write("a", to: "token")
        let source = try source()
        try folder.write(" b\n", to: "token")
        #expect(try await token(source) == "Bearer a")
        clock.skip(to: clock.now() + .seconds(20))
        #expect(try await token(source) == "Bearer a")
        clock.skip(to: clock.now() + .seconds(30))
        #expect(try await token(source) == "Bearer b")
    }

    @Test func `the file is read again after a refusal`() async throws {
        try folder.write("a", to: "token")
        let source = try source()
        var deadline = clock.now()
        let refused = try await source.current(until: &deadline)
        #expect(await source.next(after: refused, until: clock.now()) == nil)
        try folder.write("b", to: "token")
        #expect(await source.next(after: refused, until: clock.now())?.authorization?.text == "Bearer b")
        #expect(try await token(source) == "Bearer b")
    }

    @Test func `a file that cannot be read any more leaves the last token in use`() async throws {
        try folder.write("a", to: "token")
        let source = try source()
        folder.remove("token")
        clock.skip(to: clock.now() + .seconds(51))
        #expect(try await token(source) == "Bearer a")
        try folder.write("b", to: "token")
        #expect(try await token(source) == "Bearer b")
    }

    @Test func `a fixed token has no replacement`() async throws {
        let source = try source("{token: a}")
        var deadline = clock.now()
        let credential = try await source.current(until: &deadline)
        #expect(credential.authorization?.text == "Bearer a")
        #expect(await source.next(after: credential, until: clock.now()) == nil)
    }
}
