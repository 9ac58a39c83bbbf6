import QQCore

/// The search for processes of earlier terms on this machine, as `Leftovers` does it: rounds of SIGKILL for everything that has the mark of
/// the election, until nothing is found.
struct LeftoverModel: Sendable {
    private static let limit: Duration = .seconds(2)
    let process: SimProcess

    init(_ process: SimProcess) { self.process = process }

    func end(before grant: Grant) async throws(CoordinationError) {
        if grant.followsCleanEnd { return }
        let end = process.clock.now() + Self.limit
        var hasFound = false
        var emptyRounds = 0
        while true {
            // Reading /proc takes this long.
            try? await process.clock.sleep(for: .nanoseconds(process.random.spread(.microseconds(300)...(.milliseconds(5)))))
            if process.isDead { return }
            let found = round(grant.name)
            hasFound = hasFound || found > 0
            emptyRounds = found == 0 ? emptyRounds + 1 : 0
            if emptyRounds >= (hasFound ? 2 : 1) { break }
            guard process.clock.now() < end else {
                throw CoordinationError(
                    .unavailable, "cannot begin under the lease of \(grant.name)", because: "processes of an earlier term are alive")
            }
        }
        if hasFound { process.world.note("has ended what an earlier term had left behind", process) }
    }

    private func round(_ election: String) -> Int {
        var count = 0
        for work in process.host.works where work.group.qq !== process && work.group.term.election == election {
            count += 1
            work.kill(&process.random)
        }
        for guardian in process.host.guardians
        where guardian.showsMark && guardian.group?.qq !== process && guardian.group?.term.election == election {
            count += 1
            guardian.kill()
        }
        return count
    }
}
