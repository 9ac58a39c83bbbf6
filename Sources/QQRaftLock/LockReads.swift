import QQCore
import QQGRPC

// Reading elections. Nothing here changes anything.
extension RaftLockCoordinator {
    public func read(_ name: String) async throws(CoordinationError) -> ElectionState {
        // While this process holds the lock, there must be time to act on the answer.
        let ttl = state.withLock { state in state.held.first { $0.key.name == name }?.value.ttl }
        let limit = ttl.map { min(requestTimeout, max($0 / 4, .milliseconds(250))) } ?? requestTimeout
        do throws(GRPCFailure) {
            let (snapshot, endpoint) = try await service.lockInfo(name, until: clock.now() + limit)
            return await electionState(snapshot, from: endpoint)
        } catch { throw told(error, "cannot read \(Printable.text(name))", isChange: false) }
    }

    /// The pauses between reads of a lock that the servers advise.
    public func backoffAdvice(_ name: String) async throws(CoordinationError) -> BackoffAdvice {
        do throws(GRPCFailure) {
            let response = try await service.askAny(LockCalls.backoffAdvice(name), until: requestDeadline).response
            return response.hasAdvice ? BackoffAdvice(response.advice) : .usual
        } catch { throw told(error, "cannot ask how long to wait for \(Printable.text(name))", isChange: false) }
    }

    // MARK: Listing

    /// The most locks that a server lists in one answer.
    private static let page: Int32 = 1000
    /// Bounds the memory that a server's list can take, names included.
    private static let mostBytes = 64 << 20
    private static let bytesOfLock = 256

    /// The servers filter as far as they can: to them "pattern" means contains, and they ignore `only_contested`.
    public func list(_ filter: ElectionFilter) async throws(CoordinationError) -> [ElectionState] {
        let what = "cannot list elections"
        await service.findLeader(until: clock.now() + requestTimeout / 2)
        let lockFilter = await lockFilter(filter)
        var found: [String: LockSnapshot] = [:]
        var bytes = 0
        var total: Int
        var endpoint: Int
        do throws(GRPCFailure) {
            var offset: Int32 = 0
            var asked = 0
            repeat {
                let response: Raftlock_GetLocksResponse
                (response, endpoint) = try await service.askAny(
                    LockCalls.locks(lockFilter, limit: Self.page, offset: offset), until: requestDeadline)
                for info in response.locks {
                    if found[info.lockID] == nil { bytes += info.lockID.utf8.count + info.ownerID.utf8.count + Self.bytesOfLock }
                    found[info.lockID] = LockSnapshot(info)
                }
                guard bytes <= Self.mostBytes else {
                    throw GRPCFailure(
                        .dataLoss, "the server lists more than \(found.count) locks; filter them", at: server.description, wasSent: true)
                }
                total = Int(response.totalMatchingFilter)
                asked += 1
                // Pages have no fixed order: some locks come twice and others not at all. If some are missing, all pages are read again.
                if response.hasMore_p, !response.locks.isEmpty {
                    offset = Int32(clamping: Int(offset) + response.locks.count)
                } else if found.count < total, asked < Self.mostPages(total) {
                    offset = 0
                } else {
                    break
                }
            } while asked < Self.mostPages(total)
        } catch { throw told(error, what, isChange: false) }
        guard found.count >= total else {
            throw CoordinationError(
                .unavailable, what, because: "the server lists them in no fixed order, and only \(found.count) of \(total) arrived",
                at: server.description)
        }
        let serverClock = found.isEmpty ? nil : await service.serverClock(at: endpoint)
        let (now, wall) = (clock.now(), wallTime)
        return found.values.sorted { $0.name < $1.name }.map { snapshot in
            var state = snapshot.state(at: now, wall: wall, clock: serverClock)
            state.isOwn = isOwn(snapshot)
            return state
        }.filter { filter.admits($0) }
    }

    private func lockFilter(_ filter: ElectionFilter) async -> Raftlock_LockFilter {
        var wanted = Raftlock_LockFilter()
        wanted.lockIDPattern = filter.name ?? ""
        wanted.ownerIDPattern = filter.leader ?? ""
        wanted.onlyHeld = filter.isLed
        wanted.onlyContested = filter.isContested
        // By the clock of the endpoint that is asked first, with a margin; excess locks are removed here.
        if let endsWithin = filter.endsWithin, let clock = await service.serverClock(at: service.directory.order.first) {
            wanted.expiresBefore = .init(at: clock.time(at: self.clock.now()) + endsWithin + .seconds(2))
        }
        return wanted
    }

    /// The number of random pages that almost always contain everything: collecting n of n takes n ln n draws, and some more.
    private static func mostPages(_ total: Int) -> Int {
        let pages = total / Int(page) + 1
        return pages == 1 ? 3 : min(pages * 16, 10_000)
    }
}
