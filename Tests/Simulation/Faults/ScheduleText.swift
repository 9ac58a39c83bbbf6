extension Schedule {
    /// The schedule in words, a line for each contender and fault.
    public var lines: [String] {
        var lines = [
            "TTL \(times.ttl), SIGKILL \(times.killAfter) after SIGTERM, \(hostCount) machines, ends at \(History.seconds(end)) s"
        ]
        for (number, plan) in contenders.enumerated() where !plan.isRetired {
            lines.append(
                "c\(number): \(plan.kind) on host\(plan.host % hostCount + 1)\(plan.keepsIdentity ? ", always with the same identity" : "")\(plan.identity.map { ", as \($0)" } ?? "")"
            )
        }
        for fault in faults {
            let span = fault.length > 0 ? " for \(History.seconds(fault.length)) s" : ""
            lines.append("at \(History.seconds(fault.at)) s\(span): \(fault.what)")
        }
        return lines
    }
}
