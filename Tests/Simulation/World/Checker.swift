import QQCore

/// What must hold in a world.
public struct Rules: Sendable {
    /// Whether each term's token is greater than those of the terms before it.
    public var tokensGrow = true
    /// Whether two that both take the lease for their own are a failure although nothing is at work.
    public var checksHolders = true
    /// Whether a term is over for others as soon as its work and its guardian are, as with a lock that both inherit.
    public var workEndsTerms = false
    /// With no fault under way and somebody waiting, somebody leads after this long at the latest.
    public var liveness: Nanoseconds = .seconds(60)
    /// A process that gives up its lease, or its campaign, has ended after this long, not counting pauses.
    public var stopping: Nanoseconds = .seconds(60)
    /// How long `qq` or its guardian have to end what they guard, once one of them goes on after both, or the machine, stood still.
    public var recovery: Nanoseconds = .milliseconds(25)

    /// How long `qq` has to do to the guarded processes what it has decided, also in the place of a silent guardian.
    public var reaction: Nanoseconds = .seconds(1)

    public init() {}
}

/// One holding of the election, as its holder knows it.
public final class Term {
    public let process: SimProcess
    /// The election: with slots, that of its slot.
    public let election: String
    public let token: FencingToken?
    /// Under which its holder leads.
    public let identity: String
    /// The end of the lease on the holder's clock.
    @exclusivity(unchecked) public internal(set) var deadline: BootInstant
    /// How long before the end of the lease the holder acts as if it were over.
    let margin: Duration
    /// Whether the holder takes it for its own.
    @exclusivity(unchecked) public internal(set) var isHeld = true
    /// Whether its holder is a `qq`, which reports the end of its lease.
    let isOurs: Bool
    /// What its holder's clock showed when it was asked for.
    private let askedOnClock: BootInstant
    /// What works under it, once that has begun.
    weak var group: WorkGroup? { didSet { hasWorked = true } }
    private var hasWorked = false
    /// World time of the last answer to a renewal that was sent after the machine had gone on.
    fileprivate(set) var confirmedAt: Nanoseconds = -.never
    /// World time at which its holder, which runs, held on to it after its end.
    fileprivate var overdueSince: Nanoseconds?
    /// World time of the last answer to a renewal, and how long the holder had been paused by then.
    fileprivate var extendedAt: Nanoseconds
    fileprivate var pausedForAtExtension: Nanoseconds

    init(
        process: SimProcess, election: String, identity: String, token: FencingToken?, deadline: BootInstant, ttl: Duration?,
        margin: Duration
    ) {
        self.identity = identity
        self.process = process
        self.election = election
        self.token = token
        self.deadline = deadline
        self.margin = margin
        extendedAt = process.world.now
        pausedForAtExtension = process.pausedFor
        isOurs = ttl != nil
        askedOnClock = ttl.map { deadline - $0 } ?? process.host.boot
    }

    /// Whether the holder takes it for its own, and the lease is in force by its clock, less the margin that is there for the speed of
    /// clocks.
    var isInForce: Bool { isHeld && !process.isDead && process.host.boot < deadline - margin }

    /// Whether all work that was begun under it has ended, and its guardian as well.
    var isWorkOver: Bool {
        guard hasWorked else { return false }
        guard let group else { return true }
        return group.living == 0 && group.guardian?.isDead != false
    }

    /// Whether the machine was paused in a way that its clock did not count, and no renewal since has shown that the lease is still held.
    var isDoubted: Bool {
        process.host.losesTime || (askedOnClock < process.host.resumedOnClock && confirmedAt < process.host.lostTimeAt)
    }
}

/// Looks after every event whether all rules are kept.
public final class Checker {
    private unowned let world: World
    @exclusivity(unchecked) public var rules: Rules
    /// The terms that are held.
    @exclusivity(unchecked) private var terms: [Term] = []
    /// Whether a term is in force at the servers now; nil if they do not say.
    @exclusivity(unchecked) var isHeldAtServers: ((Term) -> Bool?)?
    /// How long a term lasts at the least, as the servers have promised; nil if they do not say.
    var timeLeftAtServers: ((Term) -> Nanoseconds?)?
    @exclusivity(unchecked) private var groups: [WorkGroup] = []
    /// The newest term of each election.
    private var newest: [(election: String, token: FencingToken?, leader: String)] = []
    /// The number of terms so far.
    public private(set) var termCount = 0
    /// The number of commands that were started.
    public internal(set) var workCount = 0
    /// Faults under way; nobody has to lead meanwhile.
    @exclusivity(unchecked) private var disturbances = 0
    /// Processes that wait for the election for as long as it takes, or hold it.
    @exclusivity(unchecked) private var waiters = 0
    /// Since when somebody should lead and nobody does; nil if somebody leads, or need not.
    @exclusivity(unchecked) private var leaderlessSince: Nanoseconds?

    init(world: World, rules: Rules) {
        self.world = world
        self.rules = rules
    }

    // MARK: What happens

    /// A term begins, as its holder knows it.
    /// - Parameters:
    ///   - identity: under which it leads; nil if no other process has the same one.
    ///   - ttl: tells when a `qq` asked for it; nil for programs of others.
    func elected(
        _ process: SimProcess, election: String = Trial.election, identity: String? = nil, token: FencingToken?, deadline: BootInstant,
        ttl: Duration? = nil, margin: Duration
    ) -> Term {
        let term = Term(
            process: process, election: election, identity: identity ?? process.name, token: token, deadline: deadline, ttl: ttl,
            margin: margin)
        termCount += 1
        world.note(
            "leads with token #1 until @2 on its clock", process, Int64(clamping: token?.value ?? 0), Int64(clamping: deadline.nanoseconds))
        take(token, of: term, identity ?? process.name)
        terms.append(term)
        compare(term)
        look()
        return term
    }

    private func take(_ token: FencingToken?, of term: Term, _ leader: String) {
        guard let index = newest.firstIndex(where: { $0.election == term.election }) else {
            return newest.append((term.election, token, leader))
        }
        let before = newest[index]
        newest[index].leader = leader
        newest[index].token = [token, before.token].compactMap { $0 }.max()
        guard rules.tokensGrow else { return }
        guard let token else { return world.fail(.tokenShrank, "\(term.process.name) leads without a token") }
        // A process that took its lease for lost, or one that has its identity, finds it still its own and goes on with the same term.
        let isSame = token == before.token && before.leader == leader
        // The answer can have waited while the machine stood still and its clock as well.
        guard let largest = before.token, token <= largest, !isSame, !term.isDoubted else { return }
        world.fail(.tokenShrank, "\(term.process.name) leads with token \(token), and \(largest) was given out before")
    }

    /// The lease of a term was renewed.
    /// - Parameter ttl: tells when the renewal was sent.
    public func extended(_ term: Term, to deadline: BootInstant, ttl: Duration? = nil) {
        term.deadline = deadline
        term.extendedAt = world.now
        term.pausedForAtExtension = term.process.pausedFor
        if let ttl, deadline - ttl >= term.process.host.resumedOnClock { term.confirmedAt = world.now }
        world.note("its lease lasts until @1 on its clock", term.process, Int64(clamping: deadline.nanoseconds))
        compare(term)
    }

    /// Compares the end of a lease, as its holder counts it, with what the servers have promised. Clocks differ, and one that was paused lags.
    private func compare(_ term: Term) {
        let host = term.process.host
        guard !host.losesTime, let left = timeLeftAtServers?(term), term.deadline < .distantFuture else { return }
        let believed = term.deadline.duration(since: host.boot).nanoseconds
        guard believed > left + max(believed / 200, term.margin.nanoseconds / 8) + .milliseconds(1),
            world.now - host.lostTimeAt > believed * 2
        else { return }
        world.fail(
            .believedTooLong,
            "\(term.process.name) believes in its lease for another \(History.seconds(believed)) s, and \(History.seconds(left)) s are promised"
        )
    }

    /// Whether a process takes the lease for its own.
    func holds(_ process: SimProcess) -> Bool { terms.contains { $0.process === process } }

    /// The holder has lost the term, as it says: its clock, or the servers, have to say so, too.
    func lost(_ term: Term, _ reason: LossReason) {
        if case .expired = reason {
            guard term.process.host.boot < term.deadline else { return }
            world.fail(.lostForNothing, "\(term.process.name) takes its lease for expired before its end")
        } else if isHeldAtServers?(term) == true {
            world.fail(.lostForNothing, "\(term.process.name) takes its lease for lost, and it is in force at the servers")
        }
    }

    /// The holder has given the term up, and the servers have answered.
    func released(_ term: Term) {
        guard isHeldAtServers?(term) == true else { return }
        world.fail(.leftBehind, "\(term.process.name) has released its lease, and it is in force at the servers")
    }

    /// The holder ends, or goes on to the next campaign, without having asked to release the term.
    func leaves(_ term: Term) {
        guard term.process.host.boot < term.deadline, isHeldAtServers?(term) == true else { return }
        world.fail(.leftBehind, "\(term.process.name) ends without a release, and its lease is in force at the servers")
    }

    /// A guardian ends the work of a term as not renewed. The renewals that its `qq` knows of have to be known to it.
    /// - Parameter known: the end of the lease as the guardian knows it.
    func endsAsNotRenewed(_ term: Term, known: BootInstant) {
        let qq = term.process
        guard term.isHeld, term.deadline > known, qq.isRunning, qq.pausedFor == term.pausedForAtExtension,
            world.now - term.extendedAt > .milliseconds(20), term.deadline - term.margin > qq.host.boot
        else { return }
        world.fail(.endedForNothing, "\(qq.name)'s guardian ends the command, and was not told of the renewal")
    }

    /// The holder does not take the term for its own any more.
    public func ended(_ term: Term) {
        term.isHeld = false
        if let index = terms.firstIndex(where: { $0 === term }) { terms.swapRemove(at: index) }
    }

    /// A fault begins; `delta` is -1 when it ends.
    public func disturb(_ delta: Int) {
        disturbances += delta
        leaderlessSince = nil
    }

    /// A process begins to wait, for as long as it takes; `delta` is -1 when it ends.
    public func waits(_ delta: Int) {
        waiters += delta
        leaderlessSince = nil
    }

    func began(_ group: WorkGroup) {
        workCount += 1
        groups.append(group)
    }

    func ended(_ group: WorkGroup) { if let index = groups.firstIndex(where: { $0 === group }) { groups.swapRemove(at: index) } }

    func requestBegan(_ kind: RequestKind, _ process: SimProcess) {
        if kind.writes, process.isReader { world.fail(.readerWrote, "\(process.name), which only reads, asks to \(kind.name)") }
        guard kind.alone else { return }
        for index in process.exclusive.indices where Self.isSame(process.exclusive[index].kind, kind.name) {
            process.exclusive[index].count += 1
            if process.exclusive[index].count > 1, !process.isDead {
                world.fail(.doubledRequest, "\(process.name) asks to \(kind.name) while the same request is under way")
            }
            return
        }
        process.exclusive.append((kind.name, 1))
    }

    func requestEnded(_ kind: RequestKind, _ process: SimProcess) {
        for index in process.exclusive.indices where Self.isSame(process.exclusive[index].kind, kind.name) {
            process.exclusive[index].count -= 1
        }
    }

    private static func isSame(_ one: StaticString, _ other: StaticString) -> Bool {
        one.utf8Start == other.utf8Start || one.utf8CodeUnitCount == other.utf8CodeUnitCount && one.description == other.description
    }

    /// A lease is about to be given up: nothing may live that works under it.
    func releases(_ process: SimProcess, _ group: WorkGroup?) {
        guard let group, group.living > 0 else { return }
        world.fail(.releasedAtWork, "\(process.name) releases its lease while \(group.living) of its processes live")
    }

    /// The process has begun to end: it has to be over in time.
    /// - Parameter group: what it waits for, if that does not end.
    func stops(_ process: SimProcess, _ group: WorkGroup? = nil) {
        let pausedBefore = process.pausedFor
        world.after(rules.stopping) { [weak self] in
            guard let self, !process.isDead else { return }
            if process.pausedFor > pausedBefore || !process.isRunning || (group?.living ?? 0) > 0 { return stops(process, group) }
            world.fail(.notStopped, "\(process.name) was to end \(History.seconds(rules.stopping)) s ago, and goes on")
        }
    }

    /// `qq` knows of something that the guarded processes have to be told: `isDone` is true in time, whatever its guardian does.
    func expects(_ words: StaticString, of process: SimProcess, _ isDone: @escaping () -> Bool) {
        let pausedBefore = process.pausedFor
        world.after(rules.reaction) { [weak self] in
            guard let self, !process.isDead, !isDone() else { return }
            if process.pausedFor > pausedBefore || !process.isRunning { return expects(words, of: process, isDone) }
            world.fail(.notStopped, "\(process.name): \(words)")
        }
    }

    /// The same of a guardian.
    func expects(_ words: StaticString, of guardian: GuardianModel, _ name: String, _ isDone: @escaping () -> Bool) {
        let pausesBefore = guardian.pauseCount
        world.after(rules.reaction) { [weak self, weak guardian] in
            guard let self, let guardian, !guardian.isDead, !isDone() else { return }
            if guardian.pauseCount > pausesBefore || !guardian.isRunning { return expects(words, of: guardian, name, isDone) }
            world.fail(.notStopped, "\(name): \(words)")
        }
    }

    // MARK: Looking

    /// The process that took the lease last, of those that hold it.
    var leader: SimProcess? { terms.last?.process }

    /// Whether somebody holds an election and nothing works under it.
    var isHeldWithoutWork: Bool { terms.contains { $0.isInForce && $0.group == nil } }

    /// Whether somebody leads: a lease is in force by its holder's clock, or work lives.
    public var isLed: Bool {
        for term in terms where term.isInForce { return true }
        for group in groups where group.living > 0 { return true }
        return false
    }

    func look() {
        lookAtTerms()
        lookAtWork()
        lookForLeader()
    }

    private func lookAtTerms() {
        for term in terms {
            if term.isInForce { lookAtServers(term) } else { lookAtEnd(term) }
        }
        guard terms.count > 1, rules.checksHolders else { return }
        for index in terms.indices.dropFirst() where terms[index].isInForce {
            let term = terms[index]
            for other in terms[..<index] where other.isInForce && other.election == term.election {
                if other.isDoubted || term.isDoubted || (rules.workEndsTerms && (other.isWorkOver || term.isWorkOver)) { continue }
                let tokens = "(token \(text(other.token))) and \(term.process.name) (token \(text(term.token)))"
                return world.fail(.twoHolders, "\(other.process.name) \(tokens) both lead")
            }
        }
    }

    private func lookAtServers(_ term: Term) {
        guard isHeldAtServers?(term) == false, !term.isDoubted, !(rules.workEndsTerms && term.isWorkOver) else { return }
        world.fail(.leadsWithoutLease, "\(term.process.name) leads with token \(text(term.token)), which is over at the servers")
    }

    /// Looks whether its holder goes on with a term whose end has passed.
    private func lookAtEnd(_ term: Term) {
        guard term.isOurs, term.process.isRunning, term.process.host.boot >= term.deadline else {
            term.overdueSince = nil
            return
        }
        guard let since = term.overdueSince else {
            term.overdueSince = world.now
            return
        }
        if world.now - since > rules.reaction { world.fail(.notStopped, "\(term.process.name) holds on to a lease that has ended") }
    }

    private func text(_ token: FencingToken?) -> String { token.map { String($0.value) } ?? "none" }

    private func lookAtWork() {
        for index in groups.indices where groups[index].living > 0 {
            let group = groups[index]
            lookAtExcuse(group)
            guard !group.host.isStopped else { continue }
            if !isExcused(group), group.host.boot > group.term.deadline {
                return world.fail(
                    .workWithoutLease, "\(group.term.process.name) has \(group.living) processes at work, and its lease has ended")
            }
            if group.term.isDoubted, !isExcused(group), noticesClock(group), let end = group.host.doubtEnds,
                world.now > end + rules.recovery,
                group.host.boot + group.host.lostTime.asDuration > group.term.deadline
            {
                return world.fail(.workWithoutLease, "\(group.term.process.name) works on without a look after its machine was paused")
            }
            for other in groups[..<index] where other.living > 0 && other.term.election == group.term.election && !other.host.isStopped {
                let isFar = other.host !== group.host
                if isFar, isExcused(group) || isExcused(other) || group.term.isDoubted || other.term.isDoubted { continue }
                return world.fail(
                    .twoAtWork, "the work of \(other.term.process.name) and of \(group.term.process.name) lives at the same time")
            }
        }
    }

    /// Whether its guardian has seen the wall clock as soon as the machine went on. A guardian that was stopped then sees it when it goes on.
    private func noticesClock(_ group: WorkGroup) -> Bool {
        guard let guardian = group.guardian else { return true }
        return guardian.isRunning && guardian.resumedAt <= group.host.lostTimeAt
    }

    /// Excuses work that neither `qq` nor its guardian can end, until they had time for it.
    private func lookAtExcuse(_ group: WorkGroup) {
        let isOut = group.isUnattended || group.hanging > 0
        if isOut || group.wasUnattended { group.excusedUntil = world.now + rules.recovery }
        group.wasUnattended = isOut
    }

    private func isExcused(_ group: WorkGroup) -> Bool { world.now < group.excusedUntil }

    private func lookForLeader() {
        if disturbances > 0 || waiters == 0 || isLed {
            leaderlessSince = nil
            return
        }
        guard let since = leaderlessSince else {
            leaderlessSince = world.now
            return
        }
        if world.now - since > rules.liveness {
            world.fail(.noLeader, "for \(History.seconds(world.now - since)) s, with \(waiters) waiting and no fault")
        }
    }

    func close() {
        terms = []
        groups = []
    }
}
