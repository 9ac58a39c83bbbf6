import Glibc
import QQCore

// The common part of all commands that campaign: reporting the events of a lease session, saving its grant, and the exit code. The guarded command, hooks,
// records on stdout and the prompt of a session are elsewhere.
extension Setup {
    /// Campaigns for an election and holds it, once no process of an earlier term is left on this machine.
    func driver(_ configuration: LeaseSession.Configuration) -> SessionDriver {
        let name = configuration.request.name
        return SessionDriver(
            configuration, coordinator: contender(), clock: loop, clearing: clearing(name),
            observer: metrics.map { metrics in
                let election = metered(name)
                metrics.add(election, ttl: configuration.request.ttl)
                return { event in metrics.take(event, of: election) }
            })
    }

    /// An election in the metrics: as it was asked for, because its slot can change from term to term.
    func metered(_ name: String) -> Metrics.Election { Metrics.Election(system: server.system.name, name: name) }

    // MARK: Messages

    /// Reports on stderr the events that are not about a lease being acquired, renewed or given up: waiting, retries, and requests that failed.
    /// - Parameters:
    ///   - name: the election.
    ///   - identity: the contender.
    func report(_ event: SessionEvent, of name: String, as identity: String) {
        report(event, of: name, as: identity) { messages.note($0, .warning) }
    }

    /// - Parameter warn: shows a message that the operator sees without `--verbose`.
    func report(_ event: SessionEvent, of name: String, as identity: String, warn: (String) -> Void) {
        switch event {
        case .waiting(let state):
            messages.detail("waiting for \(name), \(Rendering.sentence(state, for: identity))")
            if let obstacle = state.obstacle { warn("waiting for \(name) in vain: \(obstacle)") }
        case .retrying(let error, let pause): warn(Self.retrying(error, after: pause))
        case .outage(let error, isNew: true): warn(Self.outage(error))
        case .outage(let error, isNew: false): messages.detail("\(error)")
        case .outageOver(let length): warn(outageOver(after: length))
        case .releaseFailed(let grant, let error): warn("\(error); the lease of \(title(name, grant)) remains until it expires")
        case .notWithdrawn(let error): warn(error.inOneLine)
        case .elected, .extended, .stepDownAsked, .lost, .released: break
        }
    }

    /// The message about a failed request that is retried after a pause.
    static func retrying(_ error: CoordinationError, after pause: Duration) -> String {
        "\(error); trying again in \(DurationText.brief(pause))"
    }

    /// The message about a failure that a waiter rides out, with the hint on it: waiting alone might not end it.
    static func outage(_ error: CoordinationError) -> String {
        "\(error); waiting until it works" + (error.hint.map { "; \($0)" } ?? "")
    }

    func outageOver(after length: Duration) -> String { "\(server) works again, after \(DurationText.brief(length))" }

    // MARK: Saved grants

    /// Keeps the saved grant up to date. Other processes of this user, such as `status`, learn from it which leases are ours. If the system does not show who
    /// leads, they also learn the remaining time from it. It is therefore saved at each renewal.
    ///
    /// A grant that cannot be saved is reported; the lease stays held.
    func saveGrant(after event: SessionEvent) {
        switch event {
        case .elected(let grant): save(grant)
        case .extended(let grant): if !coordinator.capabilities.has(.readLeader) { save(grant) }
        case .lost(let grant, _), .released(let grant), .releaseFailed(let grant, _): GrantStore().forget(grant, server: server)
        case .waiting, .retrying, .outage, .outageOver, .stepDownAsked, .notWithdrawn: break
        }
    }

    private func save(_ grant: Grant) {
        do throws(CoordinationError) { try GrantStore().save(grant, server: server, isKept: true) } catch { messages.error(error) }
    }

    // MARK: The end

    /// The exit code of a command whose lease session ended before anything ran under the lease.
    /// - Parameter signal: the signal that the exit code names if the session was stopped.
    /// - Throws: `CoordinationError` if it ended with a failure.
    func exitCode(of outcome: SessionOutcome, stoppedBy signal: Int32) throws(CoordinationError) -> Int32 {
        switch outcome {
        case .refused(let state):
            if output.form == .json { try output.print(json: Schemas.refused(state, slots: slots, server: server)) }
            return refused(state)
        case .timedOut(let state):
            if output.form == .json, let state { try output.print(json: Schemas.refused(state, slots: slots, server: server)) }
            return try timedOut(state)
        case .timedOutInOutage(let error): throw timedOut(in: error)
        case .failed(let error): throw error
        case .lost(let reason): throw CoordinationError(.lost, "lost \(name)", because: reason.description)
        case .stopped: return ExitCode.signal(signal)
        }
    }

    /// Reports that another contender holds the election, and returns the exit code.
    func refused(_ state: ElectionState) -> Int32 {
        let reasons = [state.refusal, state.obstacle].compactMap { $0 }.map { "; \($0)" }.joined()
        let sentence = "\(state.name) is \(Rendering.sentence(state, for: identity))" + reasons
        if invocation[Flags.skipOK] {
            messages.detail(sentence)
            return ExitCode.yes
        }
        messages.note(sentence)
        return invocation[Flags.conflictExitCode] ?? Defaults.conflictExitCode
    }

    /// Reports that `--wait` has ended while another contender held the election, and returns the exit code.
    /// - Throws: `.timedOut` unless a flag names the exit code for an election that another contender holds.
    func timedOut(_ state: ElectionState?) throws(CoordinationError) -> Int32 {
        let error = CoordinationError(
            .timedOut, "gave up waiting for \(name)",
            because: state.map { "it is " + Rendering.sentence($0, for: identity) } ?? "the time is over",
            at: server.description, hint: state?.obstacle)
        if invocation[Flags.skipOK] {
            messages.detail("\(error)")
            return ExitCode.yes
        }
        guard let code = invocation[Flags.conflictExitCode] else { throw error }
        messages.note("\(error)")
        return code
    }

    /// The error when `--wait` has ended in an outage. Whether another contender leads is then unknown.
    func timedOut(in error: CoordinationError) -> CoordinationError {
        CoordinationError(
            .timedOut, "gave up waiting for \(name)", because: "\(error)", hint: error.hint, isUncertain: error.isUncertain)
    }
}
