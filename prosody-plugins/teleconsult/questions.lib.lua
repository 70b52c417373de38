-- Questions of one kind to the API that travel together: what is asked while a request is on its way waits for its answer and
-- goes with the next. So nobody waits when little is asked, and when many come at once, a request for each would cost the API and
-- us more than the questions in them. A question that has time waits for company. Pure: sending and timer are handed in.

local MOST = 25; -- in one request (the API's limit)
-- A request that is on its way for longer is waited for by nobody but those in it.
local PATIENCE = 0.1; -- seconds

local questions = {};

local Questions = {};
Questions.__index = Questions;

-- deps: post(message, done(answer, reason)), timer(seconds, fn)
function questions.new(deps)
	return setmetatable({ deps = deps; waiting = {} }, Questions);
end

local function take(self)
	local taken = {};
	while self.waiting[1] and #taken < MOST do
		taken[#taken + 1] = table.remove(self.waiting, 1);
	end
	return taken;
end

local function hand_over(taken, answer, reason)
	local answers = type(answer) == "table" and type(answer.answers) == "table" and answer.answers;
	for place, one in ipairs(taken) do
		local own = answers and answers[place];
		if type(own) == "table" then one.done(own); else one.done(nil, reason or "malformed"); end
	end
end

local function send(self)
	local taken = take(self);
	self.is_due = self.waiting[1] ~= nil;
	local asked = {};
	for place, one in ipairs(taken) do asked[place] = one.question; end
	self.last = taken;
	local function go_on()
		if self.last ~= taken then return; end -- others have gone on
		self.last = nil;
		if self.is_due then send(self); end
	end
	self.deps.timer(PATIENCE, go_on);
	self.deps.post({ questions = asked }, function (answer, reason)
		hand_over(taken, answer, reason);
		go_on();
	end);
end

local function hurry(self)
	self.is_due = self.waiting[1] ~= nil;
	if self.is_due and not self.last then send(self); end
end

-- Calls done(answer) or done(nil, reason) exactly once.
-- spare_s: how long the question may wait for others; nil: not at all
function Questions:ask(question, done, spare_s)
	table.insert(self.waiting, { question = question; done = done });
	if not spare_s then
		hurry(self);
	elseif not self.is_gathering then
		self.is_gathering = true;
		self.deps.timer(spare_s, function ()
			self.is_gathering = false;
			hurry(self);
		end);
	end
end

return questions;
