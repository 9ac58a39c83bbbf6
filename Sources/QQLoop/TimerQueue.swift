import QQCore

/// Sleeping tasks, soonest first: a binary heap of their times, and the tasks by number, so that each can be removed before its time.
struct TimerQueue {
    private struct Entry {
        var at: BootInstant
        /// Numbers grow, so entries of equal times keep their order of arrival.
        var id: UInt64

        func isBefore(_ other: Entry) -> Bool { at == other.at ? id < other.id : at < other.at }
    }

    /// The parent of the entry at `n` is at `(n - 1) / 2` and is not after it. Can contain entries of tasks that were removed.
    private var heap: [Entry] = []
    private var sleeping: [UInt64: MainLoop.Waiter] = [:]

    var earliest: BootInstant? {
        mutating get {
            while let first = heap.first, sleeping[first.id] == nil { removeFirst() }
            return heap.first?.at
        }
    }

    mutating func insert(_ waiter: MainLoop.Waiter, at instant: BootInstant) {
        sleeping[waiter.id] = waiter
        // A time that never comes needs no entry in the heap.
        guard instant != .distantFuture else { return }
        heap.append(Entry(at: instant, id: waiter.id))
        var child = heap.count - 1
        while child > 0, heap[child].isBefore(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func removeDue(at now: BootInstant) -> [MainLoop.Waiter] {
        var due: [MainLoop.Waiter] = []
        while let first = heap.first, first.at <= now {
            if let waiter = sleeping.removeValue(forKey: first.id) { due.append(waiter) }
            removeFirst()
        }
        return due
    }

    mutating func remove(id: UInt64) -> MainLoop.Waiter? {
        let waiter = sleeping.removeValue(forKey: id)
        if heap.count > 64, heap.count > 2 * sleeping.count { sweep() }
        return waiter
    }

    private mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        sink(from: 0)
    }

    private mutating func sink(from place: Int) {
        var parent = place
        while true {
            var least = parent
            let left = 2 * parent + 1
            if left < heap.count, heap[left].isBefore(heap[least]) { least = left }
            if left + 1 < heap.count, heap[left + 1].isBefore(heap[least]) { least = left + 1 }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    /// Drops the entries of tasks that were removed.
    private mutating func sweep() {
        heap.removeAll { sleeping[$0.id] == nil }
        for place in stride(from: heap.count / 2, through: 0, by: -1) { sink(from: place) }
    }
}
