import { startVisit } from './visit.js';
import './trace.js';

startVisit();
