import QQCore
import QQGRPC

// Leaving the queue, and what came to us when nobody wanted it any more.
extension RaftLockCoordinator {
    public func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? {
        let claim = Claim(name: request.name, identity: request.identity)
        guard state.withLock({ $0.places[claim] != nil || $0.doubts[claim] != nil || $0.extended[claim] != nil }) else { return nil }
        // Whoever is told to stop leaves, too.
        return await Task(executorPreference: executor) {
            let deadline = self.clock.now() + min(self.requestTimeout, Self.timeToLeave)
            let failure = await self.giveUpPlace(claim, until: deadline)
            return await self.giveUpUnwanted(claim, until: deadline) ?? failure
        }.value
    }

    private static let timeToLeave: Duration = .seconds(3)

    /// Leaves the queue of a lock, whoever stood in it.
    /// - Returns: whether somebody of that identity was in it.
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

    /// A place that cannot be given up ends by itself; but while it lasts, it may bring us the lock once more.
    /// - Returns: why it cannot be given up; nil where there is none any more.
    @discardableResult func giveUpPlace(_ claim: Claim, until deadline: BootInstant) async -> CoordinationError? {
        guard let place = state.withLock({ $0.places[claim] }) else { return nil }
        var failure: CoordinationError?
        var wasThere = false
        do throws(GRPCFailure) {
            wasThere = try await service.write(LockCalls.cancelWait(claim.name, claim.identity), until: deadline).cancelled
        } catch {
            let refusal = LockRefusal(error)
            if refusal != .notWaiting, refusal != .notFound {
                failure = told(error, "cannot leave the queue for \(Printable.text(claim.name))", isChange: true)
                failure?.hint =
                    "the place ends by itself within \(DurationText.format(Self.placeLasts)), and so does a lease that it brings meanwhile"
            }
        }
        state.withLock { state in
            let isHeld = state.held[claim] != nil
            // Whoever holds the lock tries again when it is given up.
            if failure == nil || !isHeld { state.places[claim] = nil }
            if !wasThere, !isHeld { state.unwanted[claim] = place }
        }
        return failure
    }

    /// Gives up a lock that came to us, by the queue or by a request in doubt, when nobody wanted it any more.
    /// - Returns: what cannot be given up, and ends by itself.
    private func giveUpUnwanted(_ claim: Claim, until deadline: BootInstant) async -> CoordinationError? {
        let (mayHaveCome, doubt, isHeld) = state.withLock { state in
            (state.unwanted[claim] != nil || state.extended[claim] != nil, state.doubts[claim], state.held[claim] != nil)
        }
        defer { state.withLock { ($0.unwanted[claim], $0.extended[claim]) = (nil, nil) } }
        guard !isHeld, mayHaveCome || doubt != nil else { return nil }
        var failure: CoordinationError?
        repeat {
            do throws(GRPCFailure) {
                let (reading, endpoint) = try await service.lockInfo(claim.name, until: deadline)
                failure = nil
                if reading.owner == claim.identity { return await giveUp(reading, from: endpoint, claim, until: deadline) }
                if reading.owner != nil { return nil }
            } catch {
                failure = told(error, "cannot see whether \(Printable.text(claim.name)) was granted", isChange: false)
                failure?.hint = "a lease that was granted ends by itself"
            }
            // What was not answered may be carried out yet, as when most of the nodes find each other again.
            guard doubt?.isPending == true else { break }
            try? await clock.sleep(until: min(clock.now() + .milliseconds(200), deadline))
        } while clock.now() < deadline
        // Whoever was told of the doubt knows that it may still be carried out.
        return mayHaveCome ? failure : nil
    }

    private func giveUp(
        _ reading: LockReading, from endpoint: Int?, _ claim: Claim, until deadline: BootInstant
    ) async -> CoordinationError? {
        var failure: CoordinationError
        if isOwn(reading) == true {
            do throws(GRPCFailure) {
                _ = try await service.write(LockCalls.release(claim.name, claim.identity, version: reading.version), until: deadline)
                return nil
            } catch {
                if LockRefusal(error)?.isAboutHolder == true { return nil }
                failure = told(error, "cannot release \(Printable.text(claim.name))", isChange: true)
            }
        } else {
            // Others of our identity are known to hold it where nothing that we asked for can have touched it.
            let mayBeOurs = state.withLock { state in
                state.extended[claim]?.version == reading.version || (state.unwanted[claim] != nil && state.doubts[claim] != nil)
            }
            guard mayBeOurs else { return nil }
            failure = CoordinationError(
                .unavailable, "cannot release \(Printable.text(claim.name))",
                because: "another process with the identity \(Printable.text(claim.identity)) may hold it", at: server.description)
        }
        let left = reading.remaining(at: clock.now(), wall: .now(), clock: await service.serverClock(at: endpoint))
        failure.hint = "the lease ends by itself" + (left.map { " within \(DurationText.brief($0))" } ?? "")
        return failure
    }
}
