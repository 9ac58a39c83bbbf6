/// Makes a schedule that breaks a rule smaller, for as long as it breaks the same rule: leaves faults and contenders out, and ends earlier.
public struct Shrinker {
    private let system: SimulatedSystem
    private let rule: Failure.Rule
    private var best: Schedule
    private var runs = 0
    /// Runs that are tried at most.
    private static let mostRuns = 600

    private init(_ schedule: Schedule, _ system: SimulatedSystem, _ rule: Failure.Rule) {
        self.system = system
        self.rule = rule
        best = schedule
    }

    /// The smallest schedule that was found; `schedule` itself if it does not break the rule.
    public static func shrink(_ schedule: Schedule, _ system: SimulatedSystem, _ rule: Failure.Rule) -> Schedule {
        var shrinker = Shrinker(schedule, system, rule)
        guard shrinker.fails(schedule) else { return schedule }
        var before: Schedule
        repeat {
            before = shrinker.best
            shrinker.leaveFaultsOut()
            shrinker.leaveContendersOut()
            shrinker.simplify()
        } while shrinker.best != before && shrinker.runs < mostRuns
        return shrinker.best
    }

    /// Keeps `candidate` if it breaks the rule as well.
    private mutating func fails(_ candidate: Schedule) -> Bool {
        guard runs < Self.mostRuns else { return false }
        runs += 1
        let result = SimulationResult.of(candidate, system, keeping: 1)
        guard let failure = result.failure, failure.rule == rule else { return false }
        best = candidate
        // Nothing happens after the failure.
        best.end = min(best.end, failure.at + .milliseconds(1))
        best.faults.removeAll { $0.at > failure.at }
        return true
    }

    /// Delta debugging: leaves out halves, quarters, and so on, down to single faults.
    private mutating func leaveFaultsOut() {
        var size = max(best.faults.count / 2, 1)
        while !best.faults.isEmpty {
            var at = 0
            var isSmaller = false
            while at < best.faults.count {
                var candidate = best
                candidate.faults.removeSubrange(at..<min(at + size, candidate.faults.count))
                if fails(candidate) { isSmaller = true } else { at += size }
            }
            if size == 1, !isSmaller { return }
            size = max(size / 2, 1)
        }
    }

    private mutating func leaveContendersOut() {
        for index in best.contenders.indices where !best.contenders[index].isRetired {
            var candidate = best
            candidate.contenders[index].isRetired = true
            candidate.faults.removeAll { $0.contender == index }
            _ = fails(candidate)
        }
    }

    /// Shorter faults, and fewer machines.
    private mutating func simplify() {
        var index = 0
        while index < best.faults.count {
            var candidate = best
            candidate.faults[index].length /= 2
            if best.faults[index].length < 2 || !fails(candidate) { index += 1 }
        }
        for index in best.contenders.indices where !best.contenders[index].isRetired && best.contenders[index].host != 0 {
            var candidate = best
            candidate.contenders[index].host = 0
            _ = fails(candidate)
        }
    }
}
