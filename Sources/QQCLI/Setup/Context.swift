import Glibc
import QQCore
import QQFile
import QQGuard
import QQLoop

/// What every command works with: what was asked, where, and how to answer.
struct Context: Sendable {
    let invocation: Invocation
    let loop: MainLoop
    let coordinator: any Coordinator
    let output: Output
    let messages: Messages

    var server: ServerURL { coordinator.server }

    /// The server is chosen, and nothing is asked of it yet.
    init(_ invocation: Invocation, loop: MainLoop) throws(CoordinationError) {
        self.invocation = invocation
        self.loop = loop
        messages = Messages(invocation)
        output = Output(invocation)
        let choice = try ServerChoice.resolve(flag: invocation[Flags.server])
        coordinator = try Self.coordinator(for: choice, invocation, loop)
    }

    private static func coordinator(
        for choice: ServerChoice, _ invocation: Invocation, _ loop: MainLoop
    ) throws(CoordinationError) -> any Coordinator {
        switch choice.url.system {
        case .file:
            return FileCoordinator(
                server: choice.url, isDefault: choice.origin == .embedded, clock: loop, ownTTL: invocation[Flags.ttl] ?? Defaults.ttl,
                requestTimeout: invocation[Flags.timeout] ?? Defaults.requestTimeout)
        case .quorumQuest, .raftLock, .nats, .kubernetes:
            throw CoordinationError(
                .unsupported, "cannot use \(choice.url.system.name)", because: "this version of qq speaks lease files only",
                at: choice.url.description,
                hint: "name a folder with -s file:///DIR")
        }
    }

    /// The elections named, each once, in their order.
    var distinctNames: [String] {
        var names: [String] = []
        for name in invocation.positionals where !names.contains(name) { names.append(name) }
        return names
    }

    /// The retry policy that the flags describe.
    /// - Parameter endless: whether retries have no limit unless the flag sets one.
    func retryPolicy(endless: Bool = false) -> RetryPolicy {
        let backoff = invocation[Flags.backoff] ?? Defaults.backoff
        return RetryPolicy(
            maximumRetries: invocation[Flags.retries] ?? (endless ? nil : Defaults.retries), initial: backoff.initial,
            maximum: backoff.maximum,
            jitter: invocation[Flags.jitter] ?? Defaults.jitter)
    }

    /// The hooks that the flags name.
    var hooks: Hooks {
        Hooks(
            onElected: invocation.all(Flags.onElected), onLost: invocation.all(Flags.onLost), onChange: invocation.all(Flags.onChange),
            timeLimit: invocation[Flags.hookTimeout] ?? Defaults.hookTimeout)
    }

    /// - Throws: `.unsupported` where `--require-token` is given and the system has none.
    func checkToken() throws(CoordinationError) {
        if invocation[Flags.requireToken] { try coordinator.capabilities.require(.fencingToken, for: "give a fencing token", at: server) }
    }

    /// One request, tried again after passing failures as the flags say. Only for requests that may be carried out twice.
    func retrying<Answer: Sendable>(
        _ request: @Sendable () async throws(CoordinationError) -> Answer
    ) async throws(CoordinationError) -> Answer {
        let policy = retryPolicy()
        var retry = 0
        while true {
            do throws(CoordinationError) { return try await request() } catch {
                retry += 1
                guard error.isPassing, policy.allows(retry: retry) else { throw error }
                let pause = policy.pause(before: retry, random: Double.random(in: 0..<1))
                messages.note("\(error); trying again in \(DurationText.brief(pause))")
                guard (try? await loop.sleep(for: pause)) != nil else { throw error }
            }
        }
    }
}

/// The variables that the guarded command and hooks see. The URL stands without its credentials.
func leaseVariables(
    name: String, server: ServerURL, event: String, identity: String?, token: FencingToken?, ttl: Duration?, leader: String?
) -> [(name: String, value: String)] {
    [
        ("QQ_NAME", name), ("QQ_ID", identity ?? ""), ("QQ_TOKEN", token?.description ?? ""), ("QQ_SERVER", server.description),
        ("QQ_TTL", ttl.map { Rendering.seconds($0) } ?? ""), ("QQ_EVENT", event), ("QQ_LEADER", leader ?? ""),
    ]
}

func leaseVariables(_ grant: Grant, at server: ServerURL, event: HookEvent) -> [(name: String, value: String)] {
    leaseVariables(
        name: grant.name, server: server, event: event.rawValue, identity: grant.identity, token: grant.token, ttl: grant.ttl,
        leader: event == .lost ? nil : grant.identity)
}
