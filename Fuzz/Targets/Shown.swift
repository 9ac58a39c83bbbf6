import QQCore
import Synchronization

@testable import QQCLI

// Shows all that output contains of a system's answers: whatever they are, they can be shown, for a program and for a user, and no part of
// them controls the terminal.

private let server = (try? Systems.url("nats://n1:4222,n2:4222"))
private let output: Output? = {
    guard case .run(let invocation)? = try? Parser.parse(["status", "x", "--color=never"]) else { return nil }
    return Output(invocation)
}()

/// Number of times that something was shown: inputs that lead to no output test nothing.
let timesShown = Atomic(0)

func checkShown(_ states: [ElectionState], advice: BackoffAdvice? = nil, at now: BootInstant) {
    guard let server, let output else { return }
    if !states.isEmpty { timesShown.add(1, ordering: .relaxed) }
    var words: Set<String> = []
    for state in states {
        checkJSON(Schemas.election(StatusRow(state: state, isMine: false, advice: advice)))
        checkJSON(Schemas.refused(state, server: server))
        checkJSON(Schemas.released(state.name, true, state, server: server))
        checkJSON(Schemas.steppedDown(true, state, server: server))
        let changes = [nil, states.first].map { Change(from: $0, to: state) }
        for change in changes {
            checkJSON(Schemas.event(change, server: server))
            words.insert(change.word)
        }
        checkText(Printable.text(Rendering.sentence(state, for: "us")))
        let row = StatusRow(state: state, isMine: true, advice: advice)
        for field in row.record(SystemDescription.nats.columns) { checkText(field.map { Printable.text($0) } ?? "") }
        let variables = leaseVariables(
            name: state.name, server: server, event: "changed", identity: state.leader, token: state.token, ttl: state.ttl,
            leader: state.leader)
        if let length = variables.first(where: { $0.name == "QQ_TTL" })?.value { checkText(length) }
        if let ttl = state.ttl, let remaining = state.remaining {
            let lease = SessionPrompt.Lease(name: state.name, left: remaining, ttl: ttl)
            for piece in SessionPrompt(context: nil, system: "nats", leases: [lease]).pieces(columns: 80) { checkText(piece.text) }
        }
    }
    let columns = StatusRow.Columns(own: SystemDescription.nats.columns, areQueued: true, areAdvised: advice != nil, areNoted: true)
    let cells = states.map { StatusRow(state: $0, isMine: false, advice: advice).cells(columns, at: .latest) }
    for line in output.lines(table: columns.heading, cells) { checkText(line) }
    checkLive(states, words, at: now)
}

private func checkLive(_ states: [ElectionState], _ words: Set<String>, at now: BootInstant) {
    var names: [String] = []
    for state in states where !names.contains(state.name) { names.append(state.name) }
    var view = LiveView(names, at: "somewhere")
    for (state, word) in zip(states, Array(words).map { Optional($0) } + Array(repeating: nil, count: states.count)) {
        view.update(state, word: word, time: ClockTime.text(.latest), at: now)
    }
    for (width, height) in [(80, 24), (1, 1)] {
        for moment in [now, .distantFuture] {
            for line in view.frame(width: width, height: height, at: moment) { checkText(line.map(\.text).joined()) }
        }
    }
}

func checkShown(_ report: ClusterReport) {
    guard let server, let output else { return }
    timesShown.add(1, ordering: .relaxed)
    checkJSON(Schemas.cluster(report, server: server))
    for line in ClusterText.lines(report, output) { checkText(line) }
    for record in report.endpoints.map({ ClusterText.record(of: $0) }) + report.members.map({ ClusterText.record(of: $0) }) {
        for field in record { checkText(field.map { Printable.text($0) } ?? "") }
    }
}

func checkShown(_ grant: Grant, at now: BootInstant) {
    guard let server else { return }
    timesShown.add(1, ordering: .relaxed)
    checkJSON(Schemas.acquired(grant, server: server, now: now))
    for (_, value) in leaseVariables(grant, at: server, event: .elected) { _ = value.utf8.count }
    checkText(Rendering.seconds(grant.ttl))
}

/// Checks that `--json` prints valid JSON, which parses as the same value.
private func checkJSON(_ value: JSONValue) {
    let text = JSONWriter.bytes(value)
    guard let read = try? JSONValue.parse(text) else { fail("is printed as no JSON", text) }
    if JSONWriter.bytes(read) != text { fail("is printed as other JSON", text) }
    checkText(String(decoding: text, as: UTF8.self).split(separator: "\u{7f}").joined())
}

private func checkText(_ text: String) {
    if text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) { fail("writes to the terminal", of: text) }
}
