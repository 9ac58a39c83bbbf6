import QQCore

@testable import QQKubernetes

private let now = BootInstant(nanoseconds: 1 << 50)
private let wall = WallTime(seconds: 1_780_000_000)

/// A lease as an API server sends it, or a line of a watch: whatever it is, it can be judged, shown, taken and released, and what is not ours is kept.
func fuzzKubernetesLease(_ data: [UInt8]) {
    guard let value = try? JSONValue.parse(data) else { return }
    _ = WatchEvent(value)
    guard let lease = LeaseObject(value["object"] ?? value) else { return }
    var history = LeaseHistory(lease, at: now)
    checkShown([history.state(lease.name, at: now, wall: wall), lease.state(wall: wall)], at: now)
    let later = now + .seconds(20)
    for gone in [nil, lease, nil] {
        history.note(gone, own: [], at: later)
        _ = history.verdict(at: later, wall: wall, server: wall)
        checkShown([history.state(lease.name, at: later, wall: wall)], at: later)
    }
    guard !lease.isDeleting else { return }

    var released = lease
    released.release(wall: wall)
    guard case .takeable = LeaseHistory(released, at: now).verdict(at: now, wall: wall) else { fail("a released lease is not free", data) }
    guard released.mark == nil, released.clearedMark == nil, released.stepDownAskedBy == nil else { fail("a mark is left", data) }

    let record = lease.record.taken(by: "us", for: 15, at: wall)
    let mark = TermMark(
        token: lease.version.map { FencingToken($0) }, identity: "us", acquireTime: record.acquireTime ?? "",
        transitions: record.transitions,
        seconds: 15, isAttended: true)
    var taken = lease
    taken.write(record)
    taken.mark(mark)
    guard taken.record == record, taken.mark == mark else { fail("a lease that was taken reads otherwise", data) }
    guard taken.body["metadata"]?["labels"] == lease.body["metadata"]?["labels"],
        taken.body["spec"]?["strategy"] == lease.body["spec"]?["strategy"]
    else { fail("something that is not ours was lost", data) }
    let held = HeldLease(mark: mark, object: taken, shownSince: now)
    let (object, renewal) = held.renewal(at: now + .seconds(5), wall: wall + .seconds(5))
    guard object.record == renewal.record, object.mark == mark else { fail("a renewal is of another term", data) }
}
