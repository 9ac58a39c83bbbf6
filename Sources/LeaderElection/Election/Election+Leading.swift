internal import QQCore

extension Election {
    /// Waits until this process leads, runs `work` while it does, releases the lease when `work` has returned, and returns its result.
    ///
    /// The task of `work` is cancelled ``Lease/stopTime`` before the lease ends if it cannot be renewed, and at once if the servers show
    /// another leader, if this leader is asked to step down, and for ``stepDown()``, ``stop()`` and a cancellation of the calling task.
    /// Work that goes on after the end of the lease can run beside another leader's: ``ElectionEvent/overran(_:)`` tells of it, and nothing
    /// can end it. The lease is never released while `work` runs.
    ///
    /// - Parameter work: runs in a task of its own, a child of the calling one.
    /// - Throws: the error of `work`; ``LeadershipLost`` if leadership ended before `work` had returned; ``ElectionError`` if this process
    /// cannot lead, of kind
    ///   `.heldByAnother` or `.timedOut` if the options limit the wait, and `.alreadyRunning` during another run; `CancellationError`.
    public func withLeadership<Result: Sendable>(_ work: @escaping @Sendable (Lease) async throws -> Result) async throws -> Result {
        try await once { election in
            let waiting: LeaseSession.Waiting =
                switch election.options.wait {
                case .forever: .forever
                case .atMost(let limit): .until(election.system.clock.now() + limit)
                case .no: .no
                }
            return try await election.result(of: election.turn(waiting, stopTime: election.timing.stopTime, work))
        }
    }

    /// Campaigns and runs `work` while this process leads, again and again: after a loss, after a step down (one TTL later), and after work
    /// has returned (`ElectionOptions.pause` later). See ``withLeadership(_:)`` for when work is cancelled.
    ///
    /// Returns after ``stop()``, when the lease has been released.
    /// - Throws: an error of `work` that it threw while it led, after the release; ``ElectionError`` for what waiting cannot mend, and of
    /// kind `.alreadyRunning` during
    ///   another run; `CancellationError`.
    public func run(_ work: @escaping @Sendable (Lease) async throws -> Void) async throws {
        try await once { try await $0.repeatedly(stopTime: $0.timing.stopTime, work) }
    }

    /// Campaigns, holds and renews without work of its own, until ``stop()``: for ``waitForLeadership()``, ``state`` and ``events``.
    ///
    /// There is no task to cancel, and the lease is held to its end: its ``Lease/stopTime`` is zero.
    /// - Throws: ``ElectionError`` for what waiting cannot mend, and of kind `.alreadyRunning` during another run; `CancellationError`.
    public func run() async throws {
        try await once { try await $0.repeatedly(stopTime: .zero) { _ in await Gate().waitUnlessCancelled() } }
    }

    /// Takes the only place of this election while `body` runs, on the system's executor.
    private func once<Result: Sendable>(_ body: @Sendable (Election) async throws -> Result) async throws -> Result {
        try enter()
        do {
            let result = try await withTaskExecutorPreference(system.executor) { try await body(self) }
            leave(after: nil)
            return result
        } catch {
            leave(after: error)
            throw error
        }
    }

    private func repeatedly(stopTime: Duration, _ work: @escaping @Sendable (Lease) async throws -> Void) async throws {
        while true {
            try Task.checkCancellation()
            let end = await turn(.forever, stopTime: stopTime, work)
            var pause = options.retry.applied(to: system.retry).pause(before: 1, random: Double.random(in: 0..<1))
            do {
                try result(of: end)
                pause = options.pause
            } catch let loss as LeadershipLost where loss.name == name {
                if let error = loss.workError { hub.post(.workFailed(error)) }
                if case .steppedDown = loss.reason { pause = timing.ttl }
            }
            if isStopped { return }
            await stopBell.wait(until: system.clock.now() + pause, system.clock)
            if isStopped { return }
        }
    }

    /// What a turn comes to for its caller.
    private func result<Result>(of end: TurnEnd<Result>) throws -> Result {
        switch end {
        case .worked(let result, nil): return try result.get()
        case .worked(let result, let reason?):
            var error: (any Error)?
            if case .failure(let thrown) = result, !(thrown is CancellationError) { error = thrown }
            throw LeadershipLost(name: name, reason: reason, workError: error)
        case .notWorked(let reason?): throw LeadershipLost(name: name, reason: reason)
        case .notWorked(nil): throw CancellationError()
        case .neverLed(let outcome): throw failure(of: outcome)
        }
    }

    /// Why the campaign has failed.
    private func failure(of outcome: SessionOutcome?) -> any Error {
        if isStopped { return LeadershipLost(name: name, reason: .stopped) }
        if Task.isCancelled { return CancellationError() }
        let what = "cannot lead \(name)"
        func leads(_ state: QQCore.ElectionState?) -> (text: String, leader: Leader?) {
            guard let state, let leader = Leader(state, identity: identity) else { return (state?.refusal ?? "", nil) }
            return (leader.identity.map { "\($0) leads" } ?? "another process leads", leader)
        }
        switch outcome {
        case .refused(let state):
            let (text, leader) = leads(state)
            return ElectionError(.heldByAnother, what, because: text, at: server, leader: leader)
        case .timedOut(let state):
            let (text, leader) = leads(state)
            return ElectionError(.timedOut, "\(what) in time", because: text, at: server, leader: leader)
        case .timedOutInOutage(let error):
            return ElectionError(.timedOut, "\(what) in time", because: "\(error)", isUncertain: error.isUncertain)
        case .failed(let error): return ElectionError(error)
        case .lost, .stopped, nil: return CancellationError()
        }
    }
}
