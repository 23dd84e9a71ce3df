// A program that has done what it does when it ends.

console.log('built');
