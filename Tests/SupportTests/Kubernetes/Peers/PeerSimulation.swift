import QQCore
import Testing

@testable import Support

/// Peers on a pure API server, in simulated time.
final class PeerSimulation {
    /// A call that the server answered, or that got no answer (status 0).
    struct Record {
        /// Time since the start of the simulation.
        var at: Duration
        var who: String
        var method: String
        var status: Int
    }

    private final class Member {
        let name: String
        var machine: any PeerMachine
        var pending = Pending.nothing
        var isParted = false
        var isPaused = false
        /// When the machine began and stopped to lead.
        var changes: [(at: Duration, leads: Bool)] = []

        init(_ name: String, _ machine: any PeerMachine) {
            self.name = name
            self.machine = machine
        }
    }

    private enum Pending {
        case nothing
        case wake(BootInstant)
        case answer(PeerOutcome, BootInstant)
        /// A call that the network holds back until its deadline.
        case held(PeerCall)
    }

    static let lease = PeerLease(namespace: "team", name: "jobs")
    /// In the middle of no second: 0.3 s after one has begun.
    private static let begin = WallTime(seconds: 1_800_000_000, nanoseconds: 300_000_000)
    private static let boot = BootInstant(nanoseconds: 1_000_000_000_000)

    private(set) var now = Duration.zero
    private(set) var records: [Record] = []
    private var members: [Member] = []
    private let server = SimulatedLeases()

    var time: PeerTime { PeerTime(boot: Self.boot + now, wall: Self.begin + now) }

    // MARK: Peers

    func add(_ name: String, _ machine: any PeerMachine) {
        let member = Member(name, machine)
        members.append(member)
        let step = member.machine.start(at: time)
        follow(step, member)
    }

    /// A client-go elector with 15, 10 and 2 s.
    func clientGo(_ name: String, _ change: (inout ClientGoElector.Settings) -> Void = { _ in }) {
        var settings = ClientGoElector.Settings(Self.lease, identity: name)
        change(&settings)
        add(name, ClientGoElector(settings))
    }

    /// A node with 5 and 2 s.
    func consensus(_ name: String, _ change: (inout ConsensusNode.Settings) -> Void = { _ in }) {
        var settings = ConsensusNode.Settings(Self.lease, identity: name)
        change(&settings)
        add(name, ConsensusNode(settings))
    }

    private func member(_ name: String) -> Member? { members.first { $0.name == name } }

    func leads(_ name: String) -> Bool { member(name)?.machine.leads ?? false }
    func changes(_ name: String) -> [(at: Duration, leads: Bool)] { member(name)?.changes ?? [] }

    func cancel(_ name: String) {
        guard let member = member(name) else { return }
        let step = member.machine.cancelled(at: time)
        follow(step, member)
    }

    /// Takes the program away, as SIGKILL would.
    func kill(_ name: String) { members.removeAll { $0.name == name } }

    func pause(_ name: String) { member(name)?.isPaused = true }
    func resume(_ name: String) { member(name)?.isPaused = false }

    /// Holds back all requests of a peer. Those whose deadline has not passed arrive when it is healed.
    func part(_ name: String) { member(name)?.isParted = true }

    func heal(_ name: String) {
        guard let member = member(name) else { return }
        member.isParted = false
        if case .held(let call) = member.pending { send(call, member) }
    }

    // MARK: Time

    /// Lets events happen until this much time has passed.
    func pass(_ duration: Duration) {
        let end = now + duration
        while let (member, at) = next(before: end) {
            now = max(now, at)
            handle(member)
        }
        now = end
    }

    /// Lets events happen until the condition holds.
    /// - Returns: the time that this took; nil if the condition did not hold within the limit.
    func pass(until condition: () -> Bool, within limit: Duration = .seconds(60)) -> Duration? {
        let start = now
        while !condition() {
            guard now - start < limit else { return nil }
            pass(.milliseconds(1))
        }
        return now - start
    }

    private func next(before end: Duration) -> (Member, Duration)? {
        let due = members.filter { !$0.isPaused }.compactMap { member -> (Member, Duration)? in
            switch member.pending {
            case .nothing: nil
            case .wake(let at), .answer(_, let at): (member, at.duration(since: Self.boot))
            case .held(let call): call.deadline.map { (member, $0.duration(since: Self.boot)) }
            }
        }
        return due.filter { $0.1 <= end }.min { $0.1 < $1.1 }
    }

    private func handle(_ member: Member) {
        let step: PeerStep
        switch member.pending {
        case .nothing: return
        case .wake: step = member.machine.woke(at: time)
        case .answer(let outcome, _): step = member.machine.answered(outcome, at: time)
        case .held(let call):
            records.append(Record(at: now, who: member.name, method: call.method.rawValue, status: 0))
            step = member.machine.answered(.failed, at: time)
        }
        follow(step, member)
    }

    private func follow(_ step: PeerStep, _ member: Member) {
        if (member.changes.last?.leads ?? false) != member.machine.leads { member.changes.append((now, member.machine.leads)) }
        switch step {
        case .ended: member.pending = .nothing
        case .sleep(let end): member.pending = .wake(end)
        case .call(let call):
            if let deadline = call.deadline, deadline <= time.boot {
                member.pending = .answer(.failed, time.boot)
            } else if member.isParted {
                member.pending = .held(call)
            } else {
                send(call, member)
            }
        }
    }

    /// An answer takes a millisecond.
    private func send(_ call: PeerCall, _ member: Member) {
        let outcome = server.answer(call, at: time)
        if case .answer(let status, _) = outcome {
            records.append(Record(at: now, who: member.name, method: call.method.rawValue, status: status))
        }
        member.pending = .answer(outcome, time.boot + .milliseconds(1))
    }

    // MARK: The lease

    var stored: JSONObject? { server.stored(Self.lease) }
    var spec: JSONObject { stored?["spec"]?.objectValue ?? [:] }
    /// Empty for nobody.
    var holder: String { spec["holderIdentity"]?.stringValue ?? "" }

    /// Changes the lease as an administrator does, or makes it.
    func edit(_ change: (inout JSONObject) -> Void) { #expect(throws: Never.self) { try server.edit(Self.lease, at: time, change) } }

    func editSpec(_ change: (inout JSONObject) -> Void) {
        edit { lease in
            var spec = lease["spec"]?.objectValue ?? [:]
            change(&spec)
            lease["spec"] = .object(spec)
        }
    }

    func delete() { server.delete(Self.lease, at: time) }

    /// The calls of a peer since a moment.
    func calls(_ name: String, since start: Duration = .zero) -> [String] {
        records.filter { $0.who == name && $0.at >= start }.map { "\($0.method) \($0.status)" }
    }

    /// Writes a holder as another program does.
    func hold(_ holder: String, duration: Int64? = 15, renewed: Duration = .zero, transitions: Int64 = 3) {
        let time = (Self.begin + now - renewed).rfc3339(fractionDigits: 6)
        editSpec { spec in
            spec["holderIdentity"] = .string(holder)
            spec["leaseDurationSeconds"] = duration.map { .integer($0) }
            spec["acquireTime"] = .string(time)
            spec["renewTime"] = .string(time)
            spec["leaseTransitions"] = .integer(transitions)
        }
    }
}
