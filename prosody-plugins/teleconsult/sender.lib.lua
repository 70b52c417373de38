-- Tell the API what happened, in the order it happened: one batch in flight, repeated with the same ids until it is taken.
-- The queue is bounded. When it is full the oldest event goes and stays lost: later events, and the API's own comparisons
-- with the rooms, put right who is present. Pure: sending, timer and log are handed in.

local BATCH = 100; -- events in one request: the API takes 256 kB
local FIRST_RETRY, LAST_RETRY = 0.5, 10; -- seconds
-- Joins come in bursts. A request costs the API and its database more than the events in it, so a batch that is not full
-- waits this long for more, also between two requests; nobody sees it. In a burst all of the machine is wanted for letting
-- people in, and it waits longer.
local GATHER, GATHER_IN_A_BURST = 0.03, 0.2; -- seconds
local BURST = 300; -- events a second

local sender = {};

-- A queue outlives the module that made it (module reload), therefore a plain table without functions.
function sender.new_queue()
	return { first = 1; last = 0; dropped = 0 };
end

function sender.length(queue)
	return queue.last - queue.first + 1;
end

local function drop_oldest(queue)
	queue[queue.first] = nil;
	queue.first = queue.first + 1;
	queue.dropped = queue.dropped + 1;
end

local function batch_of(queue)
	local events = {};
	local last = math.min(queue.last, queue.first + BATCH - 1);
	for index = queue.first, last do
		events[#events + 1] = queue[index];
	end
	return events, last;
end

-- Events up to index `last` were taken. Some of them may have been dropped meanwhile, hence "up to" and not "so many".
local function forget(queue, last)
	for index = queue.first, last do
		queue[index] = nil;
	end
	queue.first = math.max(queue.first, last + 1);
end

local Sender = {};
Sender.__index = Sender;

-- deps: queue, limit, source, post(message, done(accepted)), timer(seconds, fn), log(level, format, ...)
function sender.new(deps)
	return setmetatable({ deps = deps; queue = deps.queue; delay = FIRST_RETRY; gather = GATHER }, Sender);
end

local function send(self)
	if self.stopped then return; end
	local events, last = batch_of(self.queue);
	if not events[1] then self.busy = false; return; end -- a reload finds nothing waiting
	self.gather = #events < BURST * self.gather and GATHER or GATHER_IN_A_BURST;
	self.deps.post({ source = self.deps.source; events = events }, function (accepted)
		self:on_answer(accepted, last);
	end);
end

local function send_later(self)
	self.deps.timer(self.gather, function () send(self); end);
end

-- After a batch was taken: what fills another one goes at once.
local function go_on(self)
	local waiting = sender.length(self.queue);
	if waiting >= BATCH then
		send(self);
	elseif waiting > 0 then
		send_later(self);
	else
		self.busy = false;
	end
end

local function rest(self)
	local this_one = {};
	self.resting = this_one;
	self.deps.timer(self.delay, function ()
		if self.resting ~= this_one then return; end -- woken
		self.resting = nil;
		send(self);
	end);
	self.delay = math.min(self.delay * 2, LAST_RETRY);
end

function Sender:on_answer(accepted, last)
	if accepted then
		self.delay, self.full, self.was_woken = FIRST_RETRY, false, false;
		forget(self.queue, last);
		go_on(self);
	else
		rest(self);
	end
end

-- The API has just answered something else: what it did not take is sent now. Once, until it takes something: it may have its
-- reasons, and is asked at every join.
function Sender:wake()
	if not self.resting or self.was_woken then return; end
	self.resting, self.was_woken = nil, true;
	send(self);
end

local function make_room(self)
	local limit = self.deps.limit;
	if sender.length(self.queue) < limit then return; end
	if not self.full then
		self.full = true;
		self.deps.log("error", "%d room events are waiting for the API: the oldest are being dropped", limit);
	end
	drop_oldest(self.queue);
end

function Sender:start()
	if self.busy or self.stopped then return; end
	self.busy = true;
	send_later(self);
end

function Sender:push(event)
	make_room(self);
	self.queue.last = self.queue.last + 1;
	self.queue[self.queue.last] = event;
	self:start();
end

-- For what strangers can cause at will (refusals): it may fill half of the queue, never push out facts about people.
-- The event is made only when it is taken, so that a gap in its numbers always means a lost fact.
function Sender:push_if_roomy(make_event)
	if sender.length(self.queue) * 2 >= self.deps.limit then
		self.queue.dropped = self.queue.dropped + 1;
		return false;
	end
	self:push(make_event());
	return true;
end

function Sender:stop()
	self.stopped = true;
end

return sender;
