import QQCore
import QQGRPC

// Leaving the queue, and releasing a lock that was granted after the wait was called off.
extension RaftLockCoordinator {
    public func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? {
        let claim = Claim(name: request.name, identity: request.identity)
        guard uncertainRequests(of: claim) != nil || state.withLock({ $0.places[claim] != nil || $0.extended[claim] != nil }) else {
            return nil
        }
        // Runs in a task of its own: a cancelled caller leaves the queue as well.
        return await Task(executorPreference: executor) {
            let deadline = self.clock.now() + min(self.requestTimeout, self.timeToLeave)
            let failure = await self.cancelPlace(claim, until: deadline)
            let left = await self.giveUpUnwanted(claim, until: deadline)
            self.state.withLock { ($0.places[claim], $0.extended[claim]) = (nil, nil) }
            return left ?? failure
        }.value
    }

    public func cancelWait(name: String, identity: String) async throws(CoordinationError) -> Bool {
        do throws(GRPCFailure) {
            let response = try await service.write(LockCalls.cancelWait(name, identity), until: requestDeadline)
            if response.hasError, !response.cancelled { throw GRPCFailure(response.error, at: server.description) }
            return response.cancelled
        } catch {
            if LockRefusal(error) == .notWaiting || LockRefusal(error) == .notFound { return false }
            throw told(error, "cannot leave the queue for \(Printable.text(name))", isChange: true)
        }
    }

    /// Gives up a place in the queue. If that fails, the place expires, but until then the queue can grant this process the lock once more.
    func giveUpPlace(_ claim: Claim, until deadline: BootInstant) async {
        if await cancelPlace(claim, until: deadline) == nil { state.withLock { $0.places[claim] = nil } }
    }

    /// - Returns: why the place cannot be given up; nil if none is left.
    private func cancelPlace(_ claim: Claim, until deadline: BootInstant) async -> CoordinationError? {
        guard state.withLock({ $0.places[claim] != nil }) else { return nil }
        do throws(GRPCFailure) {
            let response = try await service.write(LockCalls.cancelWait(claim.name, claim.identity), until: deadline)
            if response.hasError, !response.cancelled { throw GRPCFailure(response.error, at: server.description) }
            return nil
        } catch {
            let refusal = LockRefusal(error)
            if refusal == .notWaiting || refusal == .notFound { return nil }
            var told = told(error, "cannot leave the queue for \(Printable.text(claim.name))", isChange: true)
            told.hint =
                "the place expires within \(DurationText.format(Self.placeLasts)), and so does a lease that the queue grants until then"
            return told
        }
    }

    /// Releases a lock that the queue or an uncertain request brought after the wait was called off.
    /// - Returns: an error if something could not be given up and has to expire.
    private func giveUpUnwanted(_ claim: Claim, until deadline: BootInstant) async -> CoordinationError? {
        let uncertain = uncertainRequests(of: claim)
        if state.withLock({ $0.held[claim] != nil }) { return nil }
        var failure: CoordinationError?
        repeat {
            do throws(GRPCFailure) {
                let (snapshot, endpoint) = try await service.lockInfo(claim.name, until: deadline)
                failure = nil
                if snapshot.owner == claim.identity { return await giveUp(snapshot, from: endpoint, claim, until: deadline) }
                if snapshot.owner != nil { return nil }
            } catch {
                failure = told(error, "cannot find out whether \(Printable.text(claim.name)) was granted", isChange: false)
                failure?.hint = "a lease that was granted expires"
            }
            // A request without an answer can still be carried out, for example once a majority of the nodes is connected again.
            guard uncertain?.isPending == true else { break }
            try? await clock.sleep(until: min(clock.now() + .milliseconds(200), deadline))
        } while clock.now() < deadline
        guard let uncertain, uncertain.isPending else { return failure }
        return CoordinationError(
            .unavailable, "cannot take back the request for \(Printable.text(claim.name))",
            because: failure?.reason ?? "it was not carried out yet", at: server.description,
            hint: "it might still be carried out; the lease then expires after \(DurationText.brief(uncertain.asked.max() ?? .zero))")
    }

    private func giveUp(
        _ snapshot: LockSnapshot, from endpoint: Int?, _ claim: Claim, until deadline: BootInstant
    ) async -> CoordinationError? {
        let what = "cannot release \(Printable.text(claim.name))"
        var failure: CoordinationError
        if isOwn(snapshot) == true {
            do throws(GRPCFailure) {
                let response = try await service.write(
                    LockCalls.release(claim.name, claim.identity, version: snapshot.version), until: deadline)
                if !response.released { throw GRPCFailure(response.error, at: server.description) }
                return nil
            } catch {
                if LockRefusal(error)?.isAboutHolder == true { return nil }
                failure = told(error, what, isChange: true)
            }
        } else {
            // Another process with the same identity holds the lock if none of this process's requests can have changed it.
            guard uncertainRequests(of: claim) != nil || state.withLock({ $0.extended[claim]?.version == snapshot.version }) else {
                return nil
            }
            failure = CoordinationError(
                .unavailable, what, because: "another process with the identity \(Printable.text(claim.identity)) might hold it",
                at: server.description)
        }
        let left = snapshot.remaining(at: clock.now(), wall: wallTime, clock: await service.serverClock(at: endpoint))
        failure.hint = "the lease expires" + (left.map { " within \(DurationText.brief($0))" } ?? "")
        return failure
    }
}
